//! The semantics checklist as tables: every row of `cases/*.yaml` is asked of the compiled law and of
//! the plain reading. All failing rows are printed at once, each as the file has it.
//!
//! Questions write both ends as `namespace/pod` (with `@ADDRESS` for another than its first one), as
//! an address (the pod that owns it, else an outsider), or as `unknown ADDRESS`, `node ADDRESS`,
//! `own ADDRESS`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[path = "cases/agree.rs"]
mod agree;
#[path = "cases/format.rs"]
mod format;
#[path = "cases/runner.rs"]
mod runner;
#[path = "cases/world.rs"]
mod world;

use format::{Case, CaseFile};

/// Numbers that a verdict cannot show; docs/semantics.md says for each where it is proven, or that it
/// is a limit.
const PACKETS_ONLY: [u32; 7] = [46, 47, 48, 58, 59, 61, 62];
/// The last number of the API's own semantics, before nodes, addresses and timing.
const LAST: u32 = 62;
/// The last number before the admin tiers, which are not built.
const LAST_DOCUMENTED: u32 = 85;

#[test]
fn every_row_is_answered_as_written_and_as_the_plain_reading_says() {
    let files = files();
    let rows: usize = files
        .iter()
        .flat_map(|(_, file)| &file.cases)
        .map(|case| case.ask.len())
        .sum();
    let failures: Vec<String> = files
        .iter()
        .flat_map(|(_, file)| runner::failures(file))
        .collect();
    assert!(rows > 0, "no row was asked");
    assert!(
        failures.is_empty(),
        "{} of {rows} rows fail\n\n{}\n",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn every_number_has_a_case() {
    let seen: BTreeSet<u32> = all_cases().iter().map(|case| number(&case.id)).collect();
    let missing: Vec<u32> = (1..=LAST)
        .filter(|number| !PACKETS_ONLY.contains(number) && !seen.contains(number))
        .collect();
    assert!(missing.is_empty(), "no case for S{missing:?}");
}

#[test]
fn every_case_asks_something() {
    for case in all_cases() {
        let asks = case.ask.iter().any(|row| row.sides().count() > 0);
        assert!(
            asks || case.refused.is_some(),
            "{}: {}",
            case.id,
            case.title
        );
        let idle = case.ask.iter().find(|row| row.sides().count() == 0);
        assert!(
            idle.is_none(),
            "{}: {}: a row asks nothing",
            case.id,
            case.title
        );
    }
}

#[test]
fn the_table_of_the_documentation_names_every_number_and_its_proof() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/semantics.md")).unwrap();
    let cases: BTreeSet<String> = all_cases().into_iter().map(|case| case.id).collect();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| S"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    for number in 1..=LAST_DOCUMENTED {
        let id = format!("S{number}");
        let row = rows.iter().find(|row| row[1] == id);
        let row = row.unwrap_or_else(|| panic!("{id} has no row in docs/semantics.md"));
        let &[_, _, decision, proof, _] = row.as_slice() else {
            panic!("{row:?} has not three cells");
        };
        assert!(!decision.is_empty(), "{row:?}");
        let by_case = proof.starts_with("case");
        assert_eq!(by_case, cases.contains(&id), "{id}: {proof}");
        let tests: Vec<&str> = proof
            .split('`')
            .filter(|part| part.contains("::"))
            .collect();
        assert!(
            by_case || !tests.is_empty() || proof.starts_with("limit: "),
            "{id}: {proof}"
        );
        for test in tests {
            let (file, name) = test.split_once("::").unwrap();
            let code = fs::read_to_string(root.join(file))
                .unwrap_or_else(|error| panic!("{id}: {file}: {error}"));
            assert!(
                code.contains(&format!("fn {name}(")),
                "{id}: {file} has no {name}"
            );
        }
    }
}

fn all_cases() -> Vec<Case> {
    files()
        .into_iter()
        .flat_map(|(_, file)| file.cases)
        .collect()
}

/// Every case file with its name, sorted.
fn files() -> Vec<(String, CaseFile)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 8, "one file per section a to h");
    paths
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(path).unwrap();
            let file: CaseFile =
                serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                name.starts_with(&format!("{}-", file.section)),
                "{name}: {}",
                file.title
            );
            (name, file)
        })
        .collect()
}

/// 34 of `S34`.
fn number(id: &str) -> u32 {
    let digits = id.strip_prefix('S').and_then(|digits| digits.parse().ok());
    digits.unwrap_or_else(|| panic!("{id:?}: write S and a number"))
}
