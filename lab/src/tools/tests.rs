//! Missing programs are named with their package.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{PACKAGES, find, missing};

#[test]
fn every_known_tool_names_its_package() {
    for (tool, package) in PACKAGES {
        let words = missing(tool.as_ref()).to_string();
        assert!(
            words.contains(&format!("`{tool}` is not installed")),
            "{words}"
        );
        assert!(
            words.ends_with(&format!("apt-get install {package}")),
            "{words}"
        );
    }
}

#[test]
fn a_path_is_taken_as_it_is_and_a_name_is_searched() {
    assert_eq!(
        find("/no/such/thing".as_ref()).unwrap().to_str(),
        Some("/no/such/thing")
    );
    assert!(find("sh".as_ref()).unwrap().is_absolute());
    assert!(find("no-such-tool".as_ref()).is_err());
}
