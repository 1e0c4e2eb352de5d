//! The table beside a plain reading of it: a list that is searched from end to end.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// What a session is to the plain reading.
#[derive(Clone, Debug)]
struct Plain {
    flow: FlowKey,
    standing: Standing,
    answered: bool,
    is_stream: bool,
    began: Instant,
    used: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A datagram of the client, and what is decided where it is asked.
    Datagram {
        client: u8,
        port: u8,
        allow: bool,
    },
    Reply {
        client: u8,
        port: u8,
    },
    Turn {
        client: u8,
        port: u8,
        allow: bool,
    },
    Pass {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = (0_u8..3, 0_u8..4);
    prop_oneof![
        4 => (who.clone(), any::<bool>()).prop_map(|((client, port), allow)| Step::Datagram { client, port, allow }),
        2 => who.clone().prop_map(|(client, port)| Step::Reply { client, port }),
        1 => (who, any::<bool>()).prop_map(|((client, port), allow)| Step::Turn { client, port, allow }),
        2 => (1_u64..20_000).prop_map(|millis| Step::Pass { millis }),
    ]
}

fn key(client: u8, port: u8) -> FlowKey {
    let port = 1000 + u16::from(port);
    FlowKey {
        client: std::net::SocketAddr::from(([10, 0, 0, client], port)).into(),
        ..flow("10.0.0.7:1")
    }
}

#[derive(Default)]
struct Reading(Vec<Plain>);

impl Reading {
    fn find(&mut self, flow: FlowKey) -> Option<&mut Plain> {
        self.0.iter_mut().find(|one| one.flow == flow)
    }

    fn due(one: &Plain) -> Instant {
        one.used
            + match (one.standing, one.is_stream) {
                (Standing::Admitted, true) => STREAM_IDLE,
                (Standing::Admitted, false) => ONE_WAY_IDLE,
                _ => DENIAL_MEMORY,
            }
    }

    fn use_now(one: &mut Plain, now: Instant) {
        one.used = now;
        one.is_stream = one.answered && now - one.began > STREAM_AFTER;
    }

    fn settle(&mut self, flow: FlowKey, standing: Standing, now: Instant) {
        self.0.retain(|one| one.flow != flow);
        let (all, per_source) = match standing {
            Standing::Admitted => (limits().sessions, limits().sessions_per_source),
            _ => (limits().denials, limits().denials_per_source),
        };
        let same: Vec<FlowKey> = self
            .0
            .iter()
            .filter(|one| one.standing == standing)
            .map(|one| one.flow)
            .collect();
        let of_source: Vec<FlowKey> = same
            .iter()
            .copied()
            .filter(|one| one.client.ip() == flow.client.ip())
            .collect();
        // The list is kept in order of use, so the first is the least recently used.
        let victim = if of_source.len() >= per_source {
            of_source.first()
        } else if same.len() >= all {
            same.first()
        } else {
            None
        };
        if let Some(victim) = victim.copied() {
            self.0.retain(|one| one.flow != victim);
        }
        self.0.push(Plain {
            flow,
            standing,
            answered: false,
            is_stream: false,
            began: now,
            used: now,
        });
    }

    fn put_last(&mut self, flow: FlowKey) {
        if let Some(at) = self.0.iter().position(|one| one.flow == flow) {
            let one = self.0.remove(at);
            self.0.push(one);
        }
    }
}

fn standing_of(allow: bool) -> Standing {
    if allow {
        Standing::Admitted
    } else {
        Standing::Denied
    }
}

proptest! {
    /// Whatever happens in whatever order, both know the same flows, standing alike and due at one time.
    #[test]
    fn the_table_agrees_with_a_plain_list(steps in proptest::collection::vec(step(), 1..200)) {
        let mut table = SessionTable::new(limits());
        let mut plain = Reading::default();
        let mut now = Instant::now();
        for step in steps {
            // No two uses at one moment, so that "least recently" has one meaning.
            now += Duration::from_nanos(1);
            match step {
                Step::Datagram { client, port, allow } => {
                    let flow = key(client, port);
                    let (id, seen) = table.on_datagram(flow, 1, now, || flow);
                    match plain.find(flow) {
                        None => {
                            prop_assert_eq!(seen, Seen::First);
                            if allow {
                                table.admit(id, 1, now);
                            } else {
                                table.deny(id, 1, now);
                            }
                            plain.settle(flow, standing_of(allow), now);
                        }
                        Some(one) => {
                            prop_assert_eq!(seen, Seen::Known(one.standing));
                            if one.standing == Standing::Admitted {
                                Reading::use_now(one, now);
                                plain.put_last(flow);
                            }
                        }
                    }
                }
                Step::Reply { client, port } => {
                    let flow = key(client, port);
                    if let Some(one) = plain.find(flow).filter(|one| one.standing == Standing::Admitted) {
                        let (id, _) = id_of(&table, flow);
                        table.on_reply(id, now);
                        Reading::use_now(one, now);
                        one.answered = true;
                        plain.put_last(flow);
                    }
                }
                Step::Turn { client, port, allow } => {
                    let flow = key(client, port);
                    let standing = standing_of(allow);
                    if plain.find(flow).is_some_and(|one| one.standing != standing) {
                        let (id, _) = id_of(&table, flow);
                        if allow {
                            table.admit(id, 1, now);
                        } else {
                            table.deny(id, 1, now);
                        }
                        plain.settle(flow, standing, now);
                    }
                }
                Step::Pass { millis } => {
                    now += Duration::from_millis(millis);
                    while let Some(due) = table.expire(now) {
                        prop_assert!(matches!(due, Due::Idle(flow, value) if flow == value));
                    }
                    plain.0.retain(|one| Reading::due(one) > now);
                }
            }
            prop_assert_eq!(table.next_expiry(), plain.0.iter().map(Reading::due).min());
            for standing in [Standing::Admitted, Standing::Denied] {
                let known = table.all(standing).count();
                let same = plain.0.iter().filter(|one| one.standing == standing);
                prop_assert_eq!(known, same.clone().count());
                prop_assert_eq!(known, table.count(standing));
                for one in same {
                    prop_assert_eq!(id_of(&table, one.flow).1, standing);
                }
            }
        }
    }
}

fn id_of(table: &SessionTable<FlowKey>, flow: FlowKey) -> (SessionId, Standing) {
    let all = [Standing::Waiting, Standing::Admitted, Standing::Denied]
        .into_iter()
        .flat_map(|standing| table.all(standing).map(move |id| (id, standing)));
    let mut found = all.filter(|(id, _)| table.get(*id).is_some_and(|(known, _)| known == flow));
    found.next().expect("a known flow")
}
