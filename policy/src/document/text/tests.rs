#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn a_text_that_only_looks_like_a_number_too_large_for_one_is_quoted() {
    for (text, wanted) in [
        ("a: 123e4567\n", "a: \"123e4567\"\n"),
        ("- 7123e4567\nb: 1\n", "- \"7123e4567\"\nb: 1\n"),
        (
            "- a: 1e999\r\n  b: 1e999  \n",
            "- a: \"1e999\"\r\n  b: \"1e999\"  \n",
        ),
        ("a: -1_0e9_99", "a: \"-1_0e9_99\""),
    ] {
        assert_eq!(quote_overflowing(text), wanted, "{text}");
    }
}

#[test]
fn other_numbers_and_texts_stay_as_they_are() {
    for text in [
        "a: 123e4\n",
        "a: 12345\n",
        "a: \"123e4567\"\n",
        "a: deadbeef\n",
        "x 123e4567\n",
        "a: x123e4567\n",
        "a: 1e400x\n",
        "",
        "\n",
    ] {
        assert!(
            matches!(quote_overflowing(text), Cow::Borrowed(_)),
            "{text}"
        );
    }
}

#[test]
fn a_text_too_long_is_refused_before_it_is_parsed() {
    // Untouched zero pages: costs address space, no memory.
    let text = String::from_utf8(vec![0; limits::MAX_TEXT + 1]).unwrap();
    let fault = documents("big.yaml", &text)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert_eq!(
        fault,
        "big.yaml: 1073741825 bytes of text, at most 1073741824 are read; split it into several files"
    );
}
