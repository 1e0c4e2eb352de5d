//! Asks every row of a file and collects all that is not as written.

use podwall_policy::flow::Direction;

use crate::format::{Case, CaseFile, Question};
use crate::world::World;

/// What is wrong with a file's cases: one text per failing row, case and title in front.
pub fn failures(file: &CaseFile) -> Vec<String> {
    let CaseFile { section, title, .. } = file;
    let of_case = |case: &Case| {
        let head = format!("{section}. {title}, {}: {}", case.id, case.title);
        let wrong = check(file, case).into_iter();
        wrong.map(move |what| format!("{head}\n{what}"))
    };
    file.cases.iter().flat_map(of_case).collect()
}

fn check(file: &CaseFile, case: &Case) -> Vec<String> {
    let world = match (World::read(&case.id, &case.text(file)), &case.refused) {
        (Err(error), Some(expected)) if error.contains(expected) => return Vec::new(),
        (Err(error), _) => return vec![format!("  refused: {error}")],
        (Ok(_), Some(_)) => return vec!["  was read, though it should be refused".to_owned()],
        (Ok(world), None) => world,
    };
    let findings = world.findings();
    let unreported = case
        .reports
        .iter()
        .filter(|text| !findings.iter().any(|one| one.contains(*text)))
        .map(|text| format!("  not reported: {text}\n  reported: {findings:#?}"));
    let sides = |row| Question::sides(row).map(move |(side, expected)| (row, side, expected));
    let wrong = case
        .ask
        .iter()
        .flat_map(sides)
        .filter_map(|(row, side, expected)| wrong(&world, row, side, expected));
    unreported.chain(wrong).collect()
}

/// The row and its answer, where that is not the expected one.
fn wrong(world: &World, row: &Question, side: Direction, expected: &str) -> Option<String> {
    let found = world.answer(side, row);
    let heard = found.as_deref().unwrap_or_default();
    // Misses are compared where the row lists them.
    let right = match expected.split_once("; ") {
        Some((head, misses)) => {
            let mut misses: Vec<&str> = misses.split("; ").collect();
            misses.sort_unstable();
            heard == format!("{head}; {}", misses.join("; "))
        }
        None => heard.split("; ").next() == Some(expected),
    };
    let side = side.label();
    let Question { from, to, port, .. } = row;
    let found = found.unwrap_or_else(|error| format!("({error})"));
    (!right).then(|| {
        format!("  from: {from}, to: {to}, port: {port}\n  {side}: {found}\n  expected: {expected}")
    })
}
