//! A client that tries to get in all the time, and what came of each try.

use podwall_lab::{Process, wait_until};

use super::super::LONG;
use super::node::Node;

/// What curl prints: HTTP code and its own exit code, 0 and 0 where all is well.
const FORM: &str = "%{http_code} %{exitcode}\n";
/// Tries until the file is there, or fifty thousand times. One try lasts as long as an arrival is held.
const SIEGE: &str = r#"i=0; while [ ! -e /tmp/lift ] && [ $i -lt 50000 ]; do
curl -q -s -g -o /dev/null -m 5 -w "$1" "$2"; i=$((i + 1)); done"#;
/// Loops of tries for each address: while one try is held, others go on.
const LOOPS: usize = 2;

impl Node {
    /// A client that tries over both families until it is lifted.
    pub fn besiege(&self, client: &'static str) -> Siege {
        let urls = self.urls(80).into_iter().flat_map(|url| vec![url; LOOPS]);
        let besieger = |url: String| {
            let words = ["sh", "-c", SIEGE, "siege", FORM, &url];
            self.exec(client, "client", &words).spawn().unwrap()
        };
        let siege = Siege {
            client,
            loops: urls.map(besieger).collect(),
        };
        siege.tries_again(self);
        siege
    }
}

/// A client that tries all the time.
pub struct Siege {
    client: &'static str,
    loops: Vec<Process>,
}

impl Siege {
    /// Waits until every loop has tried twice since now, so that one try of each began after now.
    pub fn tries_again(&self, node: &Node) {
        for one in &self.loops {
            let tries = || seen(&one.stdout_so_far()).len();
            let before = tries();
            let more = wait_until(LONG, || tries() > before + 1 || one.status().is_some());
            assert!(
                more && one.status().is_none(),
                "{}{}",
                one.output_so_far(),
                node.log()
            );
        }
    }

    /// Ends it after one more try and gives what every try saw.
    pub fn lift(self, node: &Node) -> Vec<Seen> {
        self.tries_again(node);
        node.run(self.client, "client", &["sh", "-c", ": > /tmp/lift"]);
        let ended = self
            .loops
            .iter()
            .inspect(|one| assert!(one.wait(LONG).is_ok()));
        ended.flat_map(|one| seen(&one.stdout_so_far())).collect()
    }
}

/// What came of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// The page.
    Page,
    /// Nothing, until curl's patience was over.
    Silence,
    /// A reset: of the attempt, while sending or while reading. Which curl says depends on when it notices.
    Reset,
    /// Anything else: curl's exit code.
    Other(u16),
}

/// Every whole line in [`FORM`].
fn seen(printed: &str) -> Vec<Seen> {
    let whole = printed.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let see = |line| match line {
        "200 0" => Seen::Page,
        "000 28" => Seen::Silence,
        "000 7" | "000 55" | "000 56" => Seen::Reset,
        other => Seen::Other(other.rsplit(' ').next().unwrap().parse().unwrap()),
    };
    whole.lines().map(see).collect()
}
