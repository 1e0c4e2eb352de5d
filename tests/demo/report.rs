//! The demo's report, held against what is written down here apart from the script.

use serde_json::Value;

/// Who gets the page in each step, on which ports; everybody else is denied. Written down apart from the script.
const PAGES: [(&str, &[&str]); 7] = [
    (
        "a",
        &[
            "my-app-ns/app1 80/TCP",
            "my-app-ns/app1 9000/TCP",
            "my-app-ns/rogue 80/TCP",
            "my-app-ns/rogue 9000/TCP",
            "my-app-ns2/app3 80/TCP",
            "my-app-ns2/app3 9000/TCP",
            "my-app-ns2/rogue 80/TCP",
            "my-app-ns2/rogue 9000/TCP",
        ],
    ),
    ("b", &["my-app-ns/app1 80/TCP", "my-app-ns/app1 9000/TCP"]),
    ("c", &["my-app-ns/app1 80/TCP"]),
    ("d1", &[]),
    (
        "d2",
        &["my-app-ns2/app3 9000/TCP", "my-app-ns2/rogue 9000/TCP"],
    ),
    ("d3", &["my-app-ns2/app3 9000/TCP"]),
    ("e", &[]),
];

/// Every step and every row is there and as it should be.
pub fn check(report: &Value, mode: &str) {
    assert_eq!(
        (&report["version"], &report["mode"], &report["ok"]),
        (&1.into(), &mode.into(), &true.into()),
        "{report:#}"
    );
    let steps = report["steps"].as_array().unwrap();
    let ids: Vec<&str> = steps
        .iter()
        .map(|step| step["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["a", "b", "c", "d1", "d2", "d3", "e"]);
    for (step, (_, pages)) in steps.iter().zip(PAGES) {
        check_rows(step, pages, mode);
    }
    let hint = rows(&steps[3]).iter().any(|row| {
        row["from"] == "my-app-ns2/app3"
            && row["because"]
                .as_str()
                .unwrap()
                .contains("kubernetes.io/metadata.name")
    });
    assert!(
        hint,
        "podwall itself names kubernetes.io/metadata.name: {:#}",
        steps[3]
    );
    assert_eq!(rows(&steps[6])[0]["seen"], "cut");
    check_clients(report, mode);
}

fn check_rows(step: &Value, pages: &[&str], mode: &str) {
    let denied = match mode {
        "queue" => "refused",
        _ => "reset",
    };
    // Four clients, two ports; the last step has its stream besides.
    let extra = usize::from(step["id"] == "e");
    assert_eq!(rows(step).len(), 8 + extra, "{step:#}");
    for row in rows(step) {
        let (from, to) = (row["from"].as_str().unwrap(), row["to"].as_str().unwrap());
        let gets_page = pages.contains(&&*format!("{from} {to}"));
        let seen = match (gets_page, to.ends_with("stream")) {
            (true, _) => "200",
            (false, false) => denied,
            (false, true) => "cut",
        };
        assert_eq!(row["seen"], seen, "{}: {row:#}", step["id"]);
    }
}

/// In mode queue app2 sees each of its clients, in mode redirect the same address for all.
fn check_clients(report: &Value, mode: &str) {
    let steps = report["steps"].as_array().unwrap();
    let served = steps
        .iter()
        .flat_map(rows)
        .filter(|row| row["seen"] == "200");
    let mut pairs: Vec<_> = served
        .map(|row| {
            (
                row["app2_sees"].as_str().unwrap(),
                row["from"].as_str().unwrap(),
            )
        })
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    // By the address first: as many addresses as pairs means one each.
    let pods = pairs.len();
    pairs.dedup_by_key(|(address, _)| *address);
    let addresses = match mode {
        "queue" => 4,
        _ => 1,
    };
    assert_eq!((pods, pairs.len()), (4, addresses), "{report:#}");
}

fn rows(step: &Value) -> &Vec<Value> {
    step["rows"].as_array().unwrap()
}
