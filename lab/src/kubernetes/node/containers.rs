//! The node's pods as somebody with kubectl meets them: awaited, entered, their logs followed, their containers killed.

use std::time::Duration;

use serde_json::Value;

use crate::{Cmd, LabError, LabResult, Process, wait::wait_every};

use super::{ASK, KubernetesNode};

/// Bound on the kill of a container.
const KILL: Duration = Duration::from_secs(20);

impl KubernetesNode {
    /// Waits until the pod's object is as `wanted`, and gives it.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the object as it is and the namespace's events.
    pub fn wait_for_pod(
        &self,
        namespace: &str,
        name: &str,
        what: &str,
        deadline: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> LabResult<Value> {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let mut last = Value::Null;
        let held = wait_every(ASK, deadline, || {
            last = self.control.admin().get(&path).unwrap_or_default();
            wanted(&last)
        });
        if held {
            return Ok(last);
        }
        Err(LabError::Timeout {
            what: format!("pod {namespace}/{name}: {what}"),
            after: deadline,
            output: format!("{:#}\n{}", last["status"], self.events(namespace)),
        })
    }

    /// Waits until the pod is ready, by its own condition, and gives its object.
    ///
    /// # Errors
    /// As [`KubernetesNode::wait_for_pod`].
    pub fn wait_until_pod_ready(
        &self,
        namespace: &str,
        name: &str,
        deadline: Duration,
    ) -> LabResult<Value> {
        self.wait_for_pod(namespace, name, "ready", deadline, is_ready)
    }

    /// `kubectl exec` of these words in a pod's container. Its exit status is that of the words.
    ///
    /// # Errors
    /// Only where it cannot be started.
    pub fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        words: &[String],
    ) -> LabResult<Cmd> {
        let command = self.control.kubectl()?;
        Ok(command
            .args(["exec", "--namespace", namespace, pod, "--container"])
            .args([container, "--"])
            .args(words))
    }

    /// `kubectl logs --follow` of a pod's container, from its start.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn follow_log(&self, namespace: &str, pod: &str, container: &str) -> LabResult<Process> {
        let command = self.control.kubectl()?;
        let words = ["logs", "--follow", "--namespace", namespace, pod];
        command.args(words).args(["--container", container]).spawn()
    }

    /// The words by which a person runs kubectl on this cluster, as one who may do everything.
    ///
    /// # Errors
    /// As [`crate::ControlPlane::kubectl`].
    pub fn kubectl_line(&self) -> LabResult<String> {
        let entry = self.control.place().entry();
        let words = self.control.kubectl()?.words();
        let kubeconfig = self.control.kubeconfig().display();
        Ok(format!("{entry} {words} --kubeconfig {kubeconfig}"))
    }

    /// Kills a pod's container (SIGKILL), as the kernel does to one that wants too much memory. The kubelet learns of
    /// it afterwards.
    ///
    /// # Errors
    /// [`LabError::Tool`] with the words of `ctr`, also where there is no such container.
    pub fn kill_container(&self, namespace: &str, pod: &str, container: &str) -> LabResult<()> {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}");
        let object = self.control.admin().get(&path)?;
        let id = container_status(&object, container)["containerID"]
            .as_str()
            .unwrap_or_default();
        let id = id.strip_prefix("containerd://").unwrap_or(id);
        self.ctr(&["tasks", "kill", "--signal", "SIGKILL", id])
            .succeed(KILL)
            .map(drop)
    }

    /// The namespace's events, a line each.
    fn events(&self, namespace: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/events");
        let list = self.control.admin().get(&path).unwrap_or_default();
        let events = list["items"].as_array().into_iter().flatten();
        let line = |event: &Value| {
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!(
                "{}: {}: {}\n",
                word(&event["involvedObject"]["name"]),
                word(&event["reason"]),
                word(&event["message"])
            )
        };
        events.map(line).collect()
    }
}

/// Whether an object's conditions say that it is ready.
pub(super) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// What a pod's object says of one of its containers, native sidecars included; null where there is none.
#[must_use]
pub fn container_status<'p>(pod: &'p Value, container: &str) -> &'p Value {
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists
        .iter()
        .filter_map(|list| pod["status"][*list].as_array())
        .flatten();
    statuses
        .find(|status| status["name"] == container)
        .unwrap_or(&Value::Null)
}
