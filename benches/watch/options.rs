//! The command line of the bench.

/// What `--help` prints.
pub const HELP: &str = "\
cargo bench -p podwall --bench watch -- [OPTIONS]

From an object written to a real API server to its enforcement, and what one sidecar costs.

  --pods N,...      made-up pods in the cluster, beside the two real ones, ascending [1,1000,5000]
  --policies N,...  policies that select the guarded pod, at each number of pods [1,200,1000]
  --mode MODE       redirect or queue [redirect]
  --open N,...      connections that are held open and cut, at each number of policies [1]
  --rounds N        rounds at each size; four writes each [50]
  --watchers N      further watchers of all pods, at the last size [100]
  --no-relist       do not kill the API server after each number of pods

The default takes a few minutes. The full grid takes about half an hour, 5 GB of memory and 2 GB of disk:

  --pods 1,1000,5000,10000,100000 --policies 1,200,1000 --rounds 200
";

use podwall_lab::Mode;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Made-up pods in the cluster, ascending.
    pub pods: Vec<usize>,
    /// Policies that select the guarded pod, the gate among them.
    pub policies: Vec<usize>,
    /// The data path.
    pub mode: Mode,
    /// Connections that are held open while the door is shut.
    pub open: Vec<usize>,
    /// Rounds at each size.
    pub rounds: usize,
    /// Further watchers of all pods, for what each of them costs the API server.
    pub watchers: usize,
    /// Whether the API server is killed after each size, for the sidecar's memory after another list.
    pub relist: bool,
}

impl Options {
    /// Reads the words behind the program's name. Where there is nothing to run, the error is what to print.
    pub fn read(words: &[String]) -> Result<Self, String> {
        let mut options = Self {
            pods: vec![1, 1_000, 5_000],
            policies: vec![1, 200, 1_000],
            mode: Mode::Redirect,
            open: vec![1],
            rounds: 50,
            watchers: 100,
            relist: true,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--mode" {
                options.mode = match words.next().map(String::as_str) {
                    Some("redirect") => Mode::Redirect,
                    Some("queue") => Mode::Queue,
                    _ => return Err(HELP.to_owned()),
                };
                continue;
            }
            let mut numbers = || {
                let list = words.next().and_then(|list| numbers(list));
                list.ok_or_else(|| {
                    format!("{word} wants numbers above 0, ascending, as 1,200\n\n{HELP}")
                })
            };
            match word.as_str() {
                "--pods" => options.pods = numbers()?,
                "--policies" => options.policies = numbers()?,
                "--open" => options.open = numbers()?,
                "--rounds" => options.rounds = numbers()?[0],
                "--watchers" => options.watchers = numbers()?[0],
                "--no-relist" => options.relist = false,
                // Cargo's own.
                "--bench" => {}
                _ => return Err(HELP.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Numbers above 0, ascending.
fn numbers(list: &str) -> Option<Vec<usize>> {
    let numbers: Vec<usize> = list
        .split(',')
        .map(|one| one.parse().ok().filter(|number| *number > 0))
        .collect::<Option<_>>()?;
    numbers.is_sorted().then_some(numbers)
}
