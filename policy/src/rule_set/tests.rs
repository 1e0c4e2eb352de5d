use super::RuleSet;

#[test]
fn a_bit_goes_where_its_number_says() {
    let mut set = RuleSet::empty(130);
    for rule in [0, 63, 64, 129] {
        set.insert(rule);
    }
    assert_eq!(set.words(), [1 | 1 << 63, 1, 2]);
}

#[test]
fn trimming_changes_no_answer() {
    assert_eq!(RuleSet::empty(1000).trimmed(), RuleSet::empty(0));
    let mut set = RuleSet::empty(1000);
    set.insert(999);
    assert_eq!(set.clone().trimmed(), set);
}
