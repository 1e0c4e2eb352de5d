//! The sidecar of mode queue: the gate in place of the door, and the rules read back in place of the canary.

use std::convert::Infallible;
use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::source::{self, Following};
use super::{RunError, host_network, last_lines, remind};
use crate::account::Account;
use crate::admin::proof::Proof;
use crate::admin::rules::{self, ReadRules, Rules};
use crate::admin::{self, Admin};
use crate::arrival::Mode;
use crate::clerk::Clerk;
use crate::config::{Config, Queues};
use crate::drain::Drained;
use crate::gate::{Changes, Gate, Settings};
use crate::intercept::queue;
use crate::world::{Nodes, World};

/// How many flows are followed to their end where `--max-connections` does not say: some 16 MB. More are let in,
/// only not followed.
pub const FOLLOWED_FLOWS: usize = 65_536;

/// Everything that runs in mode queue.
pub(super) struct Sidecar {
    account: Arc<Account>,
    world: Arc<World>,
    admin: Arc<Admin>,
    tasks: [JoinHandle<Infallible>; 2],
    gate: Gate,
    source: Following,
}

impl Sidecar {
    pub(super) fn start(
        config: &Config,
        log: impl Write + Send + 'static,
        read_rules: Box<ReadRules>,
    ) -> Result<Self, RunError> {
        let endpoints = admin::bind(config.admin_port)?;
        let account = Account::new(log, Mode::Queue).map_err(RunError::Log)?;
        let nodes = Nodes::new(&config.node_addresses, &config.node_ports);
        let world = World::new(config.subject.clone(), nodes);
        let clerk = Clerk::new(Arc::clone(&world), Arc::clone(&account));
        let most_flows = config.max_connections.unwrap_or(FOLLOWED_FLOWS);
        let settings = Settings {
            queues: config.queues,
            most_flows,
            keep_established: config.keep_established,
            unguarded: config.unguarded.clone(),
        };
        let gate = Gate::open(clerk, settings)?;
        let rules = Rules::new(looking(read_rules, &gate, config.queues, &account));
        let proof = Proof::Rules(Arc::clone(&rules));
        let admin = Admin::new(Arc::clone(&account), Arc::clone(&world), proof);
        let source = follow(config, &world, gate.changes())?;
        let tasks = [
            tokio::spawn(admin::serve(endpoints, Arc::clone(&admin))),
            tokio::spawn(rules::watch(rules, Arc::clone(&account))),
        ];
        tracing::info!("serving; {most_flows} flows are followed to their end");
        Ok(Self {
            account,
            world,
            admin,
            tasks,
            gate,
            source,
        })
    }

    /// Until asked to stop, and then until the last flow has ended or the time is over.
    pub(super) async fn serve(
        &mut self,
        drain_timeout: Duration,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Drained, RunError> {
        tokio::select! {
            () = shutdown => {}
            lost = self.gate.lost() => return Err(lost.into()),
            subject = host_network(&self.world) => return Err(RunError::HostNetwork(subject)),
            never = remind(&self.world) => match never {},
        }
        self.admin.drain();
        let (began, open) = (Instant::now(), self.gate.open_flows());
        self.gate.drain();
        let _ended_or_not = timeout(drain_timeout, self.gate.emptied()).await;
        Ok(Drained {
            open,
            reset: 0,
            left: self.gate.open_flows(),
            took: began.elapsed(),
        })
    }

    /// Ends what is left of podwall; what the kernel carries goes on. The log's last lines are written.
    pub(super) async fn close(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        let (source, gate) = (self.source, self.gate);
        let threads = move || {
            drop(source);
            gate.close();
        };
        last_lines(self.account, threads).await;
    }
}

/// Reads the rules back, and what else only looking tells: whether changes reach what is open, and what found no room.
fn looking(
    read_rules: Box<ReadRules>,
    gate: &Gate,
    queues: Queues,
    account: &Arc<Account>,
) -> Box<ReadRules> {
    let (trouble, account) = (gate.trouble(), Arc::clone(account));
    let is_ours = move |number: u16| {
        number
            .checked_sub(queues.first)
            .is_some_and(|at| at < queues.count)
    };
    Box::new(move || {
        if let Some(packets) = queue::dropped(is_ours) {
            account.queue_dropped(packets);
        }
        let mut reading = read_rules();
        reading.faults.extend(trouble());
        reading
    })
}

/// Starts to follow the source; each change is taken in on the source's own thread and announced to the gate.
fn follow(config: &Config, world: &Arc<World>, changes: Changes) -> Result<Following, RunError> {
    let world = Arc::clone(world);
    let take_in = move |change| changes.announce(&world.apply(change));
    source::follow(&config.source, &config.subject, take_in)
}
