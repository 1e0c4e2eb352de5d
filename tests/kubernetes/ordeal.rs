//! What every trouble of the source has to leave alone, and what has to work after it.

use podwall_lab::wait_until;

use super::siege::Siege;
use super::stage::{LONG, Stage};
use crate::support::Seen;
use crate::talk::{APP, Ending, Pair, both, ending};

/// An admitted client with an open connection, and a rogue that tries all the time.
pub struct Ordeal {
    siege: Siege,
    pairs: Vec<Pair>,
}

impl Ordeal {
    /// Begins while all is well.
    pub fn begin(stage: &Stage) -> Self {
        let scene = &stage.scene;
        stage.fares(&scene.cart, Seen::Page, "rule");
        stage.fares(&scene.rogue, Seen::Reset, "no_rule_admits");
        let open = |to| Pair::open(scene.cart.place(), to, &stage.app);
        Self {
            siege: Siege::lay(&scene.rogue, both(&scene.web, 80).to_vec()),
            pairs: both(&scene.web, APP).map(open).into(),
        }
    }

    /// The last state is in force: new connections are judged by it, and open ones stand.
    pub fn holds(&mut self, stage: &Stage) {
        let scene = &stage.scene;
        assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
        assert_eq!(scene.ask_v6(&scene.cart, 80), Seen::Page);
        self.siege.tries_again();
        self.pairs.iter_mut().for_each(Pair::greet);
    }

    /// All is well again: a change reaches new connections and open ones, and so does the next.
    pub fn ends_well(mut self, stage: &mut Stage) {
        self.holds(stage);
        let cart = stage.scene.cart.clone();
        let other = [("app", "other")];
        stage.scene.lab.relabel("shop", "cart", &other).unwrap();
        let shut = || stage.scene.ask(&cart, 80) == Seen::Reset;
        assert!(wait_until(LONG, shut), "{}", stage.output());
        for mut pair in self.pairs {
            for end in [&mut pair.client, &mut pair.app] {
                assert_eq!(ending(end), Ending::Reset, "{}", stage.output());
            }
        }
        let back = [("app", "cart")];
        stage.scene.lab.relabel("shop", "cart", &back).unwrap();
        stage.fares(&cart, Seen::Page, "rule");
        // The kind that failed last is asked again after its back-off, however soon the others are well.
        let well = || stage.metric("source_problem") == 0.0;
        assert!(wait_until(LONG, well), "{}", stage.output());
        self.siege.lift();
    }
}
