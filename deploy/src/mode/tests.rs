#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn queues_are_read_and_written_the_same_and_never_pass_the_last() {
    for text in ["0:1", "15871:1", "5:64", "65535:1", "65472:64"] {
        let queues: Queues = text.parse().unwrap();
        assert_eq!(queues.to_string(), text);
    }
    for text in [
        "", "5", "5:", ":1", "5:0", "5:65", "65535:2", "65473:64", "-1:1", "65536:1", "a:1",
        "1:1:1",
    ] {
        assert_eq!(text.parse::<Queues>(), Err(QueuesFault), "{text}");
    }
    assert_eq!(Queues::new(65472, 64).unwrap().last(), 65535);
}

#[test]
fn the_marks_are_one_bit_each_and_not_the_same() {
    assert_eq!((ADMITTED.count_ones(), REFUSED.count_ones()), (1, 1));
    assert_eq!(ADMITTED & REFUSED, 0);
}

#[test]
fn ports_are_checked() {
    for (listen, canary) in [(0, 1), (1, 0), (7, 7)] {
        let error = Redirect::new(listen, canary).unwrap_err();
        assert_eq!(error.fault(), crate::Fault::Usage, "{error}");
    }
}

#[test]
fn p11_s65_node_ports_are_sorted_single_and_never_zero() {
    let wide = Redirect::new(1, 2).unwrap();
    assert_eq!(wide.node_ports, [], "the node is let past everywhere");
    let strict = wide.clone().with_node_ports([443, 80, 443]).unwrap();
    assert_eq!(strict.node_ports, [80, 443]);
    let error = wide.with_node_ports([80, 0]).unwrap_err();
    assert_eq!(error.fault(), crate::Fault::Usage);
    assert!(error.to_string().contains("--node-port"), "{error}");
}
