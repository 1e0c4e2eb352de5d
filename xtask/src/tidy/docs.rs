//! Laws about what is written down: links lead somewhere, dependencies have their reason.

use super::Finding;
use super::tree::{File, Tree};

/// Where each dependency has its line.
const DEPENDENCIES: &str = "docs/dependencies.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.is("md")) {
        found.extend(dead_links(tree, file));
    }
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"))
    {
        found.extend(dependencies(tree, file));
    }
    found
}

fn dead_links(tree: &Tree, file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (at, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            if leads_outside(target) || leads_somewhere(tree, file, target) {
                continue;
            }
            found.push(Finding {
                path: file.path.clone(),
                line: at + 1,
                what: format!("link to `{target}`, which is not there"),
                why: "a reader who follows a link must arrive",
            });
        }
    }
    found
}

/// The targets of `[text](target)`, `src="target"` and `srcset="target"`.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for (open, close) in [
        ("](", ')'),
        ("src=\"", '"'),
        ("srcset=\"", '"'),
        ("href=\"", '"'),
    ] {
        for (at, _) in line.match_indices(open) {
            let rest = &line[at + open.len()..];
            if let Some(end) = rest.find(close) {
                targets.push(rest[..end].split(' ').next().unwrap_or_default());
            }
        }
    }
    targets
}

fn leads_outside(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:") || target.starts_with('#')
}

fn leads_somewhere(tree: &Tree, file: &File, target: &str) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    let mut at: Vec<&str> = file.path.split('/').collect();
    at.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if at.pop().is_none() {
                    return false;
                }
            }
            name => at.push(name),
        }
    }
    at.is_empty() || tree.paths.contains(&at.join("/"))
}

/// A manifest's dependencies: the workspace's have a reason, a member's come from the workspace.
fn dependencies(tree: &Tree, file: &File) -> Vec<Finding> {
    // The fuzz targets are no members and bring libFuzzer's glue.
    if file.path.starts_with("fuzz/") {
        return Vec::new();
    }
    let reasons = tree.files.iter().find(|file| file.path == DEPENDENCIES);
    let reasons = reasons.map_or("", |file| file.text.as_str());
    let mut section = "";
    let mut found = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let name = name.trim().trim_end_matches(".workspace");
        let breach = match section {
            "[workspace.dependencies]" => without_reason(name, value, reasons),
            "[dependencies]" | "[dev-dependencies]" | "[build-dependencies]" => {
                own_version(name, line)
            }
            _ => None,
        };
        found.extend(breach.map(|(what, why)| Finding {
            path: file.path.clone(),
            line: at + 1,
            what,
            why,
        }));
    }
    found
}

type Breach = Option<(String, &'static str)>;

fn without_reason(name: &str, value: &str, reasons: &str) -> Breach {
    let ours = value.contains("path =");
    let named = reasons.contains(&format!("`{name}`"));
    (!ours && !named).then(|| {
        let what = format!("dependency `{name}` has no line in {DEPENDENCIES}");
        (
            what,
            "each one earns its place: what for, why this one, what was not chosen",
        )
    })
}

fn own_version(name: &str, line: &str) -> Breach {
    let inherited = line.contains("workspace = true");
    (!line.starts_with('#') && !inherited).then(|| {
        let what = format!("dependency `{name}` is not taken from the workspace");
        (
            what,
            "one table holds every version; write `NAME.workspace = true`",
        )
    })
}
