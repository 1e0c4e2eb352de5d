//! Policy texts: where documents part, and whose they are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{documents, policy_key};

#[test]
fn documents_part_at_lines_of_three_hyphens() {
    let text = "---\na: 1\n--- \n# only a comment\n---\n\n---\nb: '---x'\nc: |\n  ---\n";
    assert_eq!(documents(text), ["a: 1\n", "b: '---x'\nc: |\n  ---\n"]);
    assert_eq!(documents(""), Vec::<String>::new());
}

#[test]
fn a_policy_without_a_namespace_is_in_default() {
    let key = policy_key(
        "kind: NetworkPolicy\nmetadata: {name: x}\nspec: [nonsense]\n",
        "document 1",
    )
    .unwrap();
    assert_eq!(key, ("default".to_owned(), "x".to_owned()));
}

#[test]
fn a_document_without_a_name_is_a_fault_that_says_where() {
    let error = policy_key("kind: NetworkPolicy\nmetadata: {}\n", "document 3")
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("policy document 3: "), "{error}");
}
