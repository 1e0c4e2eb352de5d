//! Lists that are told while other things happen.

use super::*;

#[test]
fn p26_a_pod_that_a_list_cannot_read_goes_with_its_earlier_content() {
    let known = pod("ns/a", "a", &["10.0.0.1"]);
    let mut index = after(&[Put(known.clone())]);
    let mut list = PodList::default();
    list.listed(&index, &known);
    list.broken(&index, &known.name);
    assert_eq!(end(&mut index, list).touched, [ip("10.0.0.1")].into());
    assert_eq!(index.pods(), 0);
}

fn end(index: &mut Index, list: PodList) -> Effect {
    let mut difference = Difference::default();
    list.close(index, &mut difference);
    index.catch_up(&difference)
}
