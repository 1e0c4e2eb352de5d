//! A second opinion: whatever is told in whatever order, each address must answer as a plain reading
//! of the events says.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use podwall_policy::labels::Labels;
use podwall_policy::object::{Namespace, Phase, Pod};
use podwall_policy::peer::Identity;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"];
/// The first of them is the subject's.
const NAMESPACES: [&str; 3] = ["shop", "guests", "elsewhere"];

#[derive(Clone, Debug)]
enum Event {
    Upsert(Pod),
    Delete(Pod),
    BreakPod(Pod),
    Relabel(Namespace),
    Forget(Namespace),
    Begin(Kind),
    List(Pod),
    ListBroken(Pod),
    ListSpace(Namespace),
    End(Kind),
    Resync(Vec<Pod>, Vec<Namespace>),
}

type Pods = BTreeMap<(ObjectName, Option<Arc<str>>), Pod>;
type Spaces = BTreeMap<Arc<str>, Labels>;

/// What is known, and what the open lists say.
#[derive(Clone, Debug, Default)]
struct Plain {
    pods: Pods,
    spaces: Spaces,
    listed_pods: Option<Pods>,
    listed_spaces: Option<Spaces>,
}

/// What an address answers: the pod, its labels and its namespace's.
type Answer = Option<(ObjectName, Labels, Option<Labels>)>;

impl Plain {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Upsert(pod) => {
                put(&mut self.pods, pod);
                each(&mut self.listed_pods, |list| put(list, pod));
            }
            Event::Delete(pod) => {
                self.pods.remove(&key(pod));
                each(&mut self.listed_pods, |list| drop(list.remove(&key(pod))));
            }
            Event::BreakPod(pod) => {
                self.pods.retain(|_, one| one.name != pod.name);
                let broken = |list: &mut Pods| list.retain(|_, one| one.name != pod.name);
                each(&mut self.listed_pods, broken);
            }
            Event::Relabel(one) => {
                let put =
                    |list: &mut Spaces| drop(list.insert(one.name.clone(), one.labels.clone()));
                put(&mut self.spaces);
                each(&mut self.listed_spaces, put);
            }
            Event::Forget(one) => {
                self.spaces.remove(&one.name);
                each(&mut self.listed_spaces, |list| drop(list.remove(&one.name)));
            }
            Event::Begin(Kind::Pod) => self.listed_pods = Some(Pods::new()),
            Event::Begin(Kind::Namespace) => self.listed_spaces = Some(Spaces::new()),
            Event::Begin(Kind::Policy) | Event::End(Kind::Policy) => {}
            Event::List(pod) => each(&mut self.listed_pods, |list| put(list, pod)),
            Event::ListBroken(pod) => {
                let broken = |list: &mut Pods| list.retain(|_, one| one.name != pod.name);
                each(&mut self.listed_pods, broken);
            }
            Event::ListSpace(one) => each(&mut self.listed_spaces, |list| {
                list.insert(one.name.clone(), one.labels.clone());
            }),
            Event::End(Kind::Pod) => each(&mut self.listed_pods.take(), |list| {
                self.pods = std::mem::take(list);
            }),
            Event::End(Kind::Namespace) => each(&mut self.listed_spaces.take(), |list| {
                self.spaces = std::mem::take(list);
            }),
            Event::Resync(pods, spaces) => {
                *self = Self::default();
                pods.iter().for_each(|pod| put(&mut self.pods, pod));
                let spaces = spaces.iter();
                self.spaces = spaces
                    .map(|one| (one.name.clone(), one.labels.clone()))
                    .collect();
            }
        }
    }

    fn answer(&self, address: IpAddr) -> Answer {
        let claims = |pod: &&Pod| !pod.host_network && pod.addresses.contains(&address);
        let claimants: Vec<&Pod> = self.pods.values().filter(claims).collect();
        let newest = claimants.iter().find(|one| {
            let mut others = claimants.iter().filter(|other| key(other) != key(one));
            others.all(|other| other.started.is_some() && other.started < one.started)
        })?;
        let labels = self.spaces.get(&newest.name.namespace).cloned();
        Some((newest.name.clone(), newest.labels.clone(), labels))
    }

    /// The subject's one policy admits pods labelled role=r0 in namespaces of team a.
    fn reason(&self, address: IpAddr) -> &'static str {
        let Some((_, pod, namespace)) = self.answer(address) else {
            return "peer_unknown";
        };
        match (
            pod.get("role"),
            namespace.as_ref().map(|one| one.get("team")),
        ) {
            (Some("r0"), None) => "peer_unknown",
            (Some("r0"), Some(Some("a"))) => "rule",
            _ => "no_rule_admits",
        }
    }
}

fn key(pod: &Pod) -> (ObjectName, Option<Arc<str>>) {
    (pod.name.clone(), pod.uid.clone())
}

fn put(pods: &mut Pods, pod: &Pod) {
    if pod.is_finished() {
        pods.remove(&key(pod));
    } else {
        pods.insert(key(pod), pod.clone());
    }
}

fn each<L>(list: &mut Option<L>, told: impl FnOnce(&mut L)) {
    if let Some(list) = list {
        told(list);
    }
}

fn the_policy() -> Object {
    let text = policy("the", "app: web", TEAM_A).replace(
        "podSelector: {}}]",
        "podSelector: {matchLabels: {role: r0}}}]",
    );
    objects(&text).remove(0)
}

fn changes(event: &Event) -> Vec<Change> {
    let one = |change| vec![change];
    match event.clone() {
        Event::Upsert(pod) => one(Change::Upsert(Object::Pod(pod))),
        Event::Delete(Pod { name, uid, .. }) => one(Change::Delete(Gone::Pod { name, uid })),
        Event::BreakPod(pod) => one(Change::Upsert(Object::BrokenPod(pod.name))),
        Event::Relabel(space) => one(Change::Upsert(Object::Namespace(space))),
        Event::Forget(space) => one(Change::Delete(Gone::Namespace(space.name))),
        Event::Begin(Kind::Policy) => {
            vec![Change::Relist(Kind::Policy), Change::Listed(the_policy())]
        }
        Event::Begin(kind) => one(Change::Relist(kind)),
        Event::List(pod) => one(Change::Listed(Object::Pod(pod))),
        Event::ListBroken(pod) => one(Change::Listed(Object::BrokenPod(pod.name))),
        Event::ListSpace(space) => one(Change::Listed(Object::Namespace(space))),
        Event::End(kind) => one(Change::Relisted(kind)),
        Event::Resync(pods, spaces) => {
            let pods = pods.into_iter().map(Object::Pod);
            let spaces = spaces.into_iter().map(Object::Namespace);
            let all = pods.chain(spaces).chain([the_policy()]).collect();
            one(Change::Resync(Cluster::assemble(all).unwrap().0))
        }
    }
}

fn any_pod() -> impl Strategy<Value = Pod> {
    let name = (0..NAMESPACES.len(), 0..3u8);
    let uid = proptest::option::of(0..2u8);
    let addresses = proptest::sample::subsequence(ADDRESSES.to_vec(), 0..=3);
    let started = proptest::option::of(0..3u64);
    let odd = (proptest::bool::weighted(0.1), proptest::bool::weighted(0.1));
    (name, uid, addresses, started, 0..3u8, odd).prop_map(
        |((space, name), uid, addresses, started, role, (finished, host_network))| Pod {
            name: ObjectName::new(NAMESPACES[space], &format!("p{name}")),
            uid: uid.map(|one| format!("0b5cbd4e-3f6a-4a8e-9c51-00000000000{one}").into()),
            labels: [("role", format!("r{role}"))].into_iter().collect(),
            addresses: addresses.into_iter().map(ip).collect(),
            host_addresses: Vec::new(),
            named_ports: [].into(),
            udp_ports: [].into(),
            host_network,
            phase: Some(if finished {
                Phase::Failed
            } else {
                Phase::Running
            }),
            started: started.map(|at| SystemTime::UNIX_EPOCH + Duration::from_secs(at)),
            terminating: false,
        },
    )
}

fn any_space() -> impl Strategy<Value = Namespace> {
    (0..NAMESPACES.len(), 0..2usize).prop_map(|(name, team)| Namespace {
        name: NAMESPACES[name].into(),
        labels: [("team", ["a", "b"][team])].into_iter().collect(),
    })
}

fn any_event() -> impl Strategy<Value = Vec<Event>> {
    let kind = || proptest::sample::select(Kind::ALL.to_vec());
    let whole_pods = vec(any_pod(), 0..8).prop_map(|pods| {
        let begin = [Event::Begin(Kind::Pod)].into_iter();
        begin
            .chain(pods.into_iter().map(Event::List))
            .chain([Event::End(Kind::Pod)])
            .collect()
    });
    let whole_spaces = vec(any_space(), 0..3).prop_map(|spaces| {
        let begin = [Event::Begin(Kind::Namespace)].into_iter();
        let spaces = spaces.into_iter().map(Event::ListSpace);
        begin
            .chain(spaces)
            .chain([Event::End(Kind::Namespace)])
            .collect()
    });
    let single = prop_oneof![
        6 => any_pod().prop_map(Event::Upsert),
        2 => any_pod().prop_map(Event::Delete),
        1 => any_pod().prop_map(Event::BreakPod),
        2 => any_space().prop_map(Event::Relabel),
        1 => any_space().prop_map(Event::Forget),
        3 => kind().prop_map(Event::Begin),
        8 => any_pod().prop_map(Event::List),
        1 => any_pod().prop_map(Event::ListBroken),
        3 => any_space().prop_map(Event::ListSpace),
        3 => kind().prop_map(Event::End),
        1 => (vec(any_pod(), 0..6), vec(any_space(), 0..3)).prop_map(|(pods, spaces)| {
            let pods: BTreeMap<_, _> = pods.into_iter().map(|one| (one.name.clone(), one)).collect();
            let spaces: BTreeMap<_, _> =
                spaces.into_iter().map(|one| (one.name.clone(), one)).collect();
            Event::Resync(pods.into_values().collect(), spaces.into_values().collect())
        }),
    ];
    prop_oneof![
        8 => single.prop_map(|one| vec![one]),
        1 => whole_pods,
        1 => whole_spaces,
        1 => Just(vec![Event::Begin(Kind::Policy), Event::End(Kind::Policy)]),
    ]
}

fn answer(world: &World, address: IpAddr) -> Answer {
    let state = world.known();
    let found = state.index.find(address)?;
    let identity = Identity::clone(found.identity);
    Some((
        found.name.clone(),
        identity.labels,
        identity.namespace_labels,
    ))
}

/// Tells one event and compares.
fn step(world: &World, plain: &mut Plain, event: &Event) -> Result<(), TestCaseError> {
    let synced = world.status().synced;
    let before = ADDRESSES.map(|one| answer(world, ip(one)));
    plain.hear(event);
    let mut touched = Touched::Nothing;
    for change in changes(event) {
        touched = world.apply(change);
    }
    if !world.status().synced {
        prop_assert_eq!(reason(world, ADDRESSES[0]), "not_synced");
        return Ok(());
    }
    prop_assert_eq!(world.status().pods, plain.pods.len());
    prop_assert_eq!(world.status().namespaces, plain.spaces.len());
    for (text, before) in ADDRESSES.into_iter().zip(before) {
        let (address, now) = (ip(text), answer(world, ip(text)));
        prop_assert_eq!(&now, &plain.answer(address), "{}", text);
        prop_assert_eq!(reason(world, text), plain.reason(address), "{}", text);
        let told = match &touched {
            Touched::Everything => true,
            Touched::Addresses(addresses) => addresses.contains(&address),
            Touched::Nothing => false,
        };
        prop_assert!(
            !synced || before == now || told,
            "{} changed unseen (P28)",
            text
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Lists by difference, events between them, and a first list that goes right in must all end in
    /// what the newest word on each object says.
    #[test]
    fn p25_p28_s72_every_address_answers_as_a_plain_reading_says(
        events in vec(any_event(), 1..60),
        starts_synced in any::<bool>(),
    ) {
        let world = world();
        let mut plain = Plain::default();
        // Their content stays whatever comes: the subject's are kept by its last labels.
        let own = [objects(SUBJECT), objects(SPACES), vec![the_policy()]].concat();
        let shop = own.iter().find_map(|one| match one {
            Object::Namespace(one) if *one.name == *"shop" => Some(one.clone()),
            _ => None,
        });
        let subject = own.iter().find_map(|one| match one {
            Object::Pod(pod) => Some(pod.clone()),
            _ => None,
        });
        let (subject, shop) = (subject.unwrap(), shop.unwrap());
        let first = if starts_synced {
            vec![Event::Resync(vec![subject], vec![shop])]
        } else {
            let _ = world.apply(Change::Upsert(the_policy()));
            vec![Event::Upsert(subject), Event::Relabel(shop)]
        };
        for event in first.iter().chain(events.iter().flatten()) {
            step(&world, &mut plain, event)?;
        }
    }
}
