//! Which path an object has, by what the API server says of its kinds. Each group is asked for once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use crate::{LabError, LabResult};

use super::ApiClient;

/// Kinds learnt so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths(Arc<Mutex<HashMap<Kind, Resource>>>);

/// apiVersion and kind.
type Kind = (String, String);

/// Its name in paths, and whether its objects live in namespaces.
#[derive(Clone, Debug)]
struct Resource {
    plural: String,
    namespaced: bool,
}

impl Paths {
    /// The path of the collection that `object` belongs to.
    pub(super) fn collection(&self, client: &ApiClient, object: &Value) -> LabResult<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = (text(&object["apiVersion"]), text(&object["kind"]));
        let group = match kind.0.contains('/') {
            true => format!("/apis/{}", kind.0),
            false => format!("/api/{}", kind.0),
        };
        let resource = self.resource(client, &group, kind)?;
        if !resource.namespaced {
            return Ok(format!("{group}/{}", resource.plural));
        }
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or("default");
        Ok(format!(
            "{group}/namespaces/{namespace}/{}",
            resource.plural
        ))
    }

    fn resource(&self, client: &ApiClient, group: &str, kind: Kind) -> LabResult<Resource> {
        let known = || {
            let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kinds.get(&kind).cloned()
        };
        if let Some(resource) = known() {
            return Ok(resource);
        }
        let list = client.get(group)?;
        {
            let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kinds.extend(
                list["resources"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|resource| {
                        let plural = resource["name"].as_str()?;
                        let found = Resource {
                            plural: plural.to_owned(),
                            namespaced: resource["namespaced"].as_bool()?,
                        };
                        let of = (kind.0.clone(), resource["kind"].as_str()?.to_owned());
                        (!plural.contains('/')).then_some((of, found))
                    }),
            );
        }
        known().ok_or_else(|| LabError::Refused {
            method: "GET",
            path: group.to_owned(),
            status: 404,
            message: format!("no kind {} in {}", kind.1, kind.0),
        })
    }
}
