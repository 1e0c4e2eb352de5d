#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// Runs `what` in a thread of its own, whose capabilities die with it.
fn aside<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(what).join().unwrap()
}

fn with(permitted: CapabilitySet, effective: CapabilitySet) {
    let sets = CapabilitySets {
        effective,
        permitted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).unwrap();
}

#[test]
fn net_admin_is_raised_from_permitted_and_everything_else_is_laid_down() {
    if !capabilities(None).unwrap().permitted.contains(NEEDED) {
        // The suite runs as root; elsewhere there is nothing to raise, which the next test covers.
        eprintln!("no NET_ADMIN here: raising it is not tested");
        assert!(std::env::var_os("CI").is_none(), "CI must have NET_ADMIN");
        return;
    }
    let after = aside(|| {
        with(NEEDED | CapabilitySet::CHOWN, CapabilitySet::empty());
        assert!(!has_net_admin());
        keep_net_admin_only().unwrap();
        assert!(has_net_admin());
        capabilities(None).unwrap()
    });
    assert_eq!((after.effective, after.permitted), (NEEDED, NEEDED));
}

#[test]
fn without_the_permission_the_error_names_what_to_give() {
    let error = aside(|| {
        with(CapabilitySet::empty(), CapabilitySet::empty());
        keep_net_admin_only().unwrap_err().to_string()
    });
    assert!(error.contains("add: [NET_ADMIN]"), "{error}");
}
