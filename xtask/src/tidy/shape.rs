//! Laws about a file's shape: its length, its header, where its tests are.

use super::Finding;
use super::tree::{File, Tree};

/// The longest that a Rust file may be, in lines.
const MAX_LINES: usize = 400;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .flat_map(|file| [length(file), header(file), tests_inline(file)])
        .flatten()
        .collect()
}

fn length(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    (lines > MAX_LINES).then(|| {
        Finding::at(
            file,
            MAX_LINES + 1,
            format!("{lines} lines, at most {MAX_LINES} are allowed"),
            "a file has one responsibility and a reader holds it in mind; move a part into a file of its own",
        )
    })
}

fn header(file: &File) -> Option<Finding> {
    let in_src = file.path.starts_with("src/") || file.path.contains("/src/");
    if !in_src || file.is_test() {
        return None;
    }
    let first = file.text.lines().find(|line| !line.trim().is_empty());
    (!first.is_some_and(|line| line.starts_with("//!"))).then(|| {
        Finding::at(
            file,
            1,
            "no `//!` header at the top".to_owned(),
            "a reader must see what the file is for, what may enter and what is deliberately absent",
        )
    })
}

fn tests_inline(file: &File) -> Option<Finding> {
    let (line, _) = file
        .code()
        .find(|(_, code)| code.starts_with("mod tests {") || code.starts_with("mod test {"))?;
    Some(Finding::at(
        file,
        line,
        "tests inside the file that they test".to_owned(),
        "tests are in a sibling file, `foo/tests.rs` for `foo.rs`, so that the code can be read alone",
    ))
}
