//! A real etcd and a real kube-apiserver, as two processes of the lab: started, stopped, killed, held and started
//! again. Their command lines are in `launch`. What is kept in them is not this file's matter, nor who may read it.

mod launch;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{Cmd, LabResult, Place, Process, Signal, scratch::make_dir};

use super::{
    client::{ApiClient, Request},
    components::Components,
    kubeconfig,
    pki::Pki,
};

pub(crate) use launch::{Settings, fits_a_socket, wait_for};

/// Bound on a graceful stop: the API server lets requests end, which takes it a second.
const STOP: Duration = Duration::from_secs(90);

/// A control plane that runs in a lab. A cheap handle; it names the same one when cloned, and its methods may be
/// called from any thread. Everything ends with the lab.
#[derive(Clone, Debug)]
pub struct ControlPlane(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    dir: PathBuf,
    components: Components,
    settings: Settings,
    pki: Mutex<Pki>,
    admin: ApiClient,
    kubeconfig: PathBuf,
    /// None where it is stopped or killed.
    server: Mutex<Option<Process>>,
    _etcd: Process,
}

impl ControlPlane {
    /// Starts both in `place`; returns when the API server is ready. A lab has one control plane at most.
    pub(crate) fn start_at(
        place: &Place,
        components: Components,
        settings: Settings,
    ) -> LabResult<Self> {
        let dir = place.dir().join("kubernetes");
        make_dir(&dir)?;
        make_dir(&dir.join("pki"))?;
        let pki = Pki::new(&dir.join("pki"))?;
        let server = settings.server_url();
        let kubeconfig = kubeconfig::of_person(&dir, &server, &pki, "admin", "system:masters")?;
        let etcd = launch::etcd(&components, place, &dir)?;
        let control = Self(Arc::new(Inner {
            admin: ApiClient::new(place, &kubeconfig)?,
            place: place.clone(),
            dir,
            components,
            settings,
            pki: Mutex::new(pki),
            kubeconfig,
            server: Mutex::new(None),
            _etcd: etcd,
        }));
        control.sign()?;
        control.start()?;
        Ok(control)
    }

    /// Starts the API server where it does not run, on the same data and port; returns when it is ready.
    ///
    /// # Errors
    /// [`crate::LabError::Ended`] or [`crate::LabError::Timeout`] with its own words.
    pub fn start(&self) -> LabResult<()> {
        let mut server = self.server();
        if server
            .as_ref()
            .is_some_and(|process| process.status().is_none())
        {
            return Ok(());
        }
        *server = Some(self.spawn()?);
        Ok(())
    }

    /// Stops the API server as an operator does, by SIGTERM, and waits for its end. Watches are ended by it. etcd
    /// runs on.
    ///
    /// # Errors
    /// [`crate::LabError::Timeout`] where it does not end.
    pub fn stop(&self) -> LabResult<()> {
        let Some(process) = self.server().take() else {
            return Ok(());
        };
        process.signal(Signal::CONT)?;
        process.signal(Signal::TERM)?;
        process.wait(STOP).map(drop)
    }

    /// Kills the API server, without any farewell to those connected. etcd runs on.
    pub fn kill(&self) {
        drop(self.server().take());
    }

    /// Holds the API server (SIGSTOP): connections stay open, and nothing is answered.
    ///
    /// # Errors
    /// [`crate::LabError::Io`] where the kernel refuses.
    pub fn pause(&self) -> LabResult<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a held API server go on.
    ///
    /// # Errors
    /// [`crate::LabError::Io`] where the kernel refuses.
    pub fn resume(&self) -> LabResult<()> {
        self.signal(Signal::CONT)
    }

    /// Gives the API server a new serving certificate of the same authority, and starts it again.
    ///
    /// # Errors
    /// As [`ControlPlane::stop`] and [`ControlPlane::start`].
    pub fn rotate_certificate(&self) -> LabResult<()> {
        self.sign()?;
        self.stop()?;
        self.start()
    }

    /// Makes a new authority and gives the API server a serving certificate of it, and starts it again. The
    /// authorities' file, which every kubeconfig names, holds the new one and the old.
    ///
    /// # Errors
    /// As [`ControlPlane::rotate_certificate`].
    pub fn rotate_authority(&self) -> LabResult<()> {
        self.pki().rotate_authority()?;
        self.0.admin.reload()?;
        self.rotate_certificate()
    }

    /// A client that may do everything.
    #[must_use]
    pub fn admin(&self) -> &ApiClient {
        &self.0.admin
    }

    /// A kubeconfig of one who may do everything, to be used from inside the lab's node ([`Place::entry`]).
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.0.kubeconfig
    }

    /// A kubeconfig of `user`, known by a client certificate as one of `group`. It may do what RBAC grants to either.
    ///
    /// # Errors
    /// [`crate::LabError::Io`] where its files cannot be written.
    pub fn person(&self, user: &str, group: &str) -> LabResult<PathBuf> {
        kubeconfig::of_person(&self.0.dir, &self.server_url(), &self.pki(), user, group)
    }

    /// `kubectl` as one who may do everything, to be run in the node's network namespace.
    ///
    /// # Errors
    /// [`crate::LabError::NoKubernetes`] where `KUBEBUILDER_ASSETS` is set and has none.
    pub fn kubectl(&self) -> LabResult<Cmd> {
        let command = self.0.components.command(&self.0.place, "kubectl")?;
        Ok(command.env("KUBECONFIG", &self.0.kubeconfig))
    }

    /// Where the API server is called.
    #[must_use]
    pub fn server_address(&self) -> SocketAddr {
        self.0.settings.server_address()
    }

    /// The same as a URL.
    #[must_use]
    pub fn server_url(&self) -> String {
        self.0.settings.server_url()
    }

    /// The file with the certificates of the authorities that vouch for the API server, readable by all.
    #[must_use]
    pub fn authorities(&self) -> PathBuf {
        self.pki().bundle()
    }

    /// What the API server printed since its last start; empty where it does not run.
    #[must_use]
    pub fn output(&self) -> String {
        let server = self.server();
        server
            .as_ref()
            .map(Process::output_so_far)
            .unwrap_or_default()
    }

    /// Where the control plane runs.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Its directory below the lab's.
    pub(crate) fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Its keys.
    pub(crate) fn pki(&self) -> MutexGuard<'_, Pki> {
        self.0.pki.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> MutexGuard<'_, Option<Process>> {
        self.0.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) -> LabResult<()> {
        let server = self.server();
        server
            .as_ref()
            .map_or(Ok(()), |process| process.signal(signal))
    }

    /// Writes a new serving certificate.
    fn sign(&self) -> LabResult<()> {
        launch::sign(&self.pki(), &self.0.settings)
    }

    fn spawn(&self) -> LabResult<Process> {
        let Inner {
            place,
            dir,
            components,
            settings,
            ..
        } = &*self.0;
        let process = launch::server(components, place, dir, settings, &self.pki())?.spawn()?;
        wait_for("kube-apiserver", &process, || {
            let answer = self.0.admin.send(Request::get("/readyz"));
            answer.is_ok_and(|(status, _)| status == 200)
        })?;
        Ok(process)
    }
}
