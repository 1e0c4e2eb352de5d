//! An answer's way back: from the application's leg to the client, from the address that it had asked.

use std::time::Instant;

use super::desk::Desk;
use super::session::State;
use crate::account::Dropped;
use crate::answer::leg::{Passed, is_want_of_room};
use crate::answer::session::SessionId;
use crate::farewell::End;

/// How many answers of one session are taken before others have their turn.
const AT_A_TIME: usize = 16;

/// How many errors of one listener are: as many as all sessions can cause in one turn, for those that are left take
/// room from its datagrams.
const ERRORS_AT_A_TIME: usize = 1024;

impl Desk {
    /// Counts what answers of a listener met on their way. It ends no session: anybody can say such a thing, and the
    /// client may be back.
    pub(super) fn on_errors(&self, door: usize) {
        let Some(listener) = self.doors.get(door) else {
            return;
        };
        for _ in 0..ERRORS_AT_A_TIME {
            let Some(error) = listener.next_error() else {
                return;
            };
            self.account().client_error(error.label());
        }
    }

    /// Takes what the application has sent. A session that is over, or another's by now, has nothing.
    pub(super) fn on_leg(&mut self, id: SessionId, buffer: &mut [u8]) {
        for _ in 0..AT_A_TIME {
            let account = self.doorkeeper.clerk().account();
            let Some((key, session)) = self.table.get_mut(id) else {
                return;
            };
            let (State::Open(open), Some(door)) =
                (&mut session.state, self.doors.get(session.door))
            else {
                return;
            };
            match open.leg.receive(buffer) {
                Passed::NotNow | Passed::Failed => return,
                Passed::Unreachable => {
                    open.is_unreachable = true;
                    account.app_unreachable();
                    if self.draining {
                        // The application has ended before us.
                        return self.finish(id, End::Idle);
                    }
                }
                Passed::Bytes(count) => {
                    match door.answer(&buffer[..count], key.client, key.to) {
                        Ok(()) => {
                            open.carried.outward += count as u64;
                            account.carried(0, count as u64);
                            // The kernel has seen it go; of what it did not take it knows nothing (P30).
                            self.table.on_reply(id, Instant::now());
                        }
                        Err(error) if is_want_of_room(&error) => {
                            account.datagram_dropped(Dropped::NoRoom);
                        }
                        Err(_no_way) => account.datagram_dropped(Dropped::NoWay),
                    }
                }
            }
        }
    }
}
