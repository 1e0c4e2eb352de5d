//! Single rules, and which of them can write our bits.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn rule(text: &str) -> Rule {
    Rule::new("INPUT", text)
}

#[test]
fn p36_what_can_set_the_admitted_bit_of_a_packet_counts() {
    for (text, counts) in [
        ("-j MARK --set-xmark 0x1000000/0x1000000", true),
        ("-j MARK --set-xmark 0x1000000/0x0", true),
        ("-j MARK --set-xmark 0xffffffff/0xffffffff", true),
        ("-j MARK --set-mark 16777216", true),
        ("-j MARK --set-xmark what/ever", true),
        (
            "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            true,
        ),
        (
            "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff",
            false,
        ),
        (
            "-j CONNMARK --restore-mark --nfmask 0x0 --ctmask 0xffffffff",
            true,
        ),
        (
            "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffff",
            false,
        ),
        (
            "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff --left-shift-mark 24",
            true,
        ),
        ("-j MARK --set-xmark 0x5/0xffffffff", false),
        ("-j MARK --set-xmark 0x0/0x1000000", false),
        ("-j CONNMARK --set-xmark 0x1000000/0x1000000", false),
        ("-m mark --mark 0x1000000/0x1000000 -j ACCEPT", false),
    ] {
        assert_eq!(admits(&rule(text)), counts, "{text}");
    }
}

#[test]
fn p37_what_can_admit_or_pardon_a_connection_counts() {
    for (text, counts) in [
        ("-j CONNMARK --set-xmark 0x1000000/0x1000000", true),
        ("-j CONNMARK --set-xmark 0x0/0x2000000", true),
        ("-j CONNMARK --set-xmark 0x2000000/0x0", true),
        ("-j CONNMARK --set-xmark 0x5/0xffffffff", true),
        (
            "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            true,
        ),
        ("-j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff", false),
        (
            "-j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff --right-shift-mark 1",
            true,
        ),
        (
            "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            false,
        ),
        ("-j CONNMARK --set-xmark 0x5/0xff", false),
        ("-j CONNMARK --set-xmark 0x0/0x1000000", false),
        ("-j MARK --set-xmark 0x1000000/0x1000000", false),
    ] {
        assert_eq!(remembers(&rule(text)), counts, "{text}");
    }
}
