//! The sidecar of mode redirect: a door for TCP, listeners for UDP, and the canary that proves the rules.

use std::convert::Infallible;
use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::source::{self, Following};
use super::{RunError, datagrams, host_network, last_lines, remind};
use crate::account::Account;
use crate::admin::canary::Canary;
use crate::admin::proof::Proof;
use crate::admin::{self, Admin};
use crate::arrival::Mode;
use crate::config::Config;
use crate::connection::{self, DEAD_PEER, Doorkeeper, DrainPhase};
use crate::datagram::Recheck;
use crate::drain::{Drained, drain};
use crate::intercept::destination::{OwnPorts, Redirected};
use crate::intercept::redirect::{Door, DoorError};
use crate::live::Live;
use crate::sys;
use crate::world::{Nodes, World};

/// Everything that runs in mode redirect.
pub(super) struct Sidecar {
    account: Arc<Account>,
    world: Arc<World>,
    live: Arc<Live>,
    admin: Arc<Admin>,
    admin_task: JoinHandle<Infallible>,
    door: JoinHandle<Result<(), DoorError>>,
    datagrams: datagrams::Carrying,
    phase: watch::Sender<DrainPhase>,
    source: Following,
}

impl Sidecar {
    pub(super) fn start(
        config: &Config,
        log: impl Write + Send + 'static,
    ) -> Result<Self, RunError> {
        let descriptors = sys::raise_descriptor_limit();
        let sessions = datagrams::share(descriptors, &config.udp_ports);
        let capacity = capacity(config.max_connections, descriptors - sessions);
        let door = Door::bind(config.listen_port, DEAD_PEER)?;
        let doors = datagrams::bind(&config.udp_ports)?;
        let endpoints = admin::bind(config.admin_port)?;
        let account = Account::new(log, Mode::Redirect).map_err(RunError::Log)?;
        let nodes = Nodes::new(&config.node_addresses, &config.node_ports);
        let world = World::new(config.subject.clone(), nodes);
        let live = Live::new(capacity, config.keep_established);
        let canary = Canary::new(config.canary_port);
        let settings = settings(config, &canary);
        let admin = Admin::new(
            Arc::clone(&account),
            Arc::clone(&world),
            Proof::Canary(canary),
        );
        let destinations = Arc::new(Redirected::default());
        let doorkeeper = Arc::new(Doorkeeper::new(
            Arc::clone(&world),
            Arc::clone(&account),
            Arc::clone(&live),
            destinations,
            settings,
        ));
        let recheck = Recheck::new();
        let source = follow(config, &world, &live, &recheck)?;
        let (phase, seen) = watch::channel(DrainPhase::Serving);
        let keeper = Arc::clone(&doorkeeper);
        let datagrams = datagrams::serve(config, doors, sessions, keeper, recheck, seen.clone())?;
        let admin_task = tokio::spawn(admin::serve(endpoints, Arc::clone(&admin)));
        let door = tokio::spawn(connection::keep_door(doorkeeper, door, seen));
        tracing::info!("serving; room for {capacity} connections");
        Ok(Self {
            account,
            world,
            live,
            admin,
            admin_task,
            door,
            datagrams,
            phase,
            source,
        })
    }

    /// Until asked to stop, and then until the last connection is gone.
    pub(super) async fn serve(
        &mut self,
        drain_timeout: Duration,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Drained, RunError> {
        tokio::select! {
            () = shutdown => {}
            lost = &mut self.door => {
                lost.map_err(RunError::Bug)??;
            }
            lost = &mut self.datagrams => {
                lost.map_err(RunError::Bug)??;
            }
            subject = host_network(&self.world) => return Err(RunError::HostNetwork(subject)),
            never = remind(&self.world) => match never {},
        }
        self.admin.drain();
        let ended = async { tokio::join!(&mut self.door, &mut self.datagrams) };
        Ok(drain(pin!(ended), &self.live, &self.phase, drain_timeout).await)
    }

    /// Ends what is left; the log's last lines are written.
    pub(super) async fn close(self) {
        self.admin_task.abort();
        self.phase.send_replace(DrainPhase::Over);
        let source = self.source;
        last_lines(self.account, move || drop(source)).await;
    }
}

fn settings(config: &Config, canary: &Canary) -> connection::Settings {
    let ports = OwnPorts {
        listen: config.listen_port,
        canary: config.canary_port,
    };
    connection::Settings::new(ports, canary.word(), config.half_close_timeout)
}

/// How many connections may be open: what was asked for, as far as descriptors go (P17).
pub(super) fn capacity(wanted: Option<usize>, descriptors: u64) -> usize {
    let fits = sys::connections_for(descriptors);
    let wanted = wanted.unwrap_or(fits);
    if wanted > fits {
        tracing::warn!(
            "--max-connections {wanted} needs more than the {descriptors} descriptors of this \
             process; {fits} are possible, raise the limit of open files for more"
        );
    }
    wanted.min(fits)
}

/// Starts to follow the source; each change is taken in and judged by on the source's own thread.
fn follow(
    config: &Config,
    world: &Arc<World>,
    live: &Arc<Live>,
    recheck: &Arc<Recheck>,
) -> Result<Following, RunError> {
    let (world, live, recheck) = (Arc::clone(world), Arc::clone(live), Arc::clone(recheck));
    let mut unserved = datagrams::Unserved::new(config);
    let take_in = move |change| {
        let touched = world.apply(change);
        recheck.note(&touched);
        let turned = live.rejudge(&world, &touched);
        if turned > 0 {
            tracing::info!("a change turned the verdict of {turned} open connections");
        }
        unserved.look(&world);
    };
    source::follow(&config.source, &config.subject, take_in)
}
