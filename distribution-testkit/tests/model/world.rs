//! The environment: what survives the processes, what their writes do to it, and what goes wrong.

use crate::bugs::Bug;
use crate::ledger::{Entry, Ledger, Rec};
use crate::process::Proc;
use crate::properties;
use crate::scenario::{Content, Scenario};

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) procs: [Proc; ACTORS],
}

pub(crate) const ACTORS: usize = 4;
pub(crate) const PUBLICATIONS: usize = 2;
const KEYS: usize = 8;
/// More entries than a trail gets here.
const ENTRIES: usize = 32;

/// All that is not in a process's memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) clock: u8,
    pub(crate) rows: [Option<Rec>; PUBLICATIONS],
    pub(crate) objects: [Option<Object>; KEYS],
    pub(crate) files: [File; PUBLICATIONS],
    pub(crate) sinks: [Sink; PUBLICATIONS],
    /// Writes that were told to have failed and have not happened yet.
    pub(crate) late: [Option<Write>; 2],
    pub(crate) left: Left,
    pub(crate) seen: Seen,
}

/// A stored object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Object {
    pub(crate) content: Content,
    /// The file, and its state, that it was copied from.
    pub(crate) from: (u8, u8),
    /// Whether somebody has read the approved bytes back from it.
    pub(crate) proven: bool,
    pub(crate) rotted: bool,
}

/// A staged file. Its state is counted, as inode and modification time do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct File {
    pub(crate) content: Option<Content>,
    pub(crate) state: u8,
    /// The states with a tombstone, as bits.
    pub(crate) buried: u8,
    /// The publications that named this file when its tombstone was written, as bits.
    pub(crate) used_by: u8,
}

/// What the audit sink keeps of one publication, by sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sink {
    /// What each entry says; 0 where there is none.
    pub(crate) kept: [u16; ENTRIES],
    /// Which entries say Published, as bits.
    pub(crate) published: u32,
}

/// How often things may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) crashes: u8,
    pub(crate) faults: u8,
    pub(crate) late_writes: u8,
    pub(crate) rots: u8,
    pub(crate) restagings: u8,
}

/// What an outsider has seen that a state alone does not show; for the properties only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// The answer given last for each publication.
    pub(crate) answers: [Option<Answer>; PUBLICATIONS],
    /// The promises seen to be broken, as bits.
    pub(crate) broken: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Answer {
    pub(crate) key: u8,
    pub(crate) published_at: i64,
    pub(crate) link_expires: i64,
}

/// An effect that changes the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    Claim(Rec),
    Advance(Rec),
    Create { key: u8, content: Content, from: (u8, u8), over: bool },
    Append(Rec),
    Bury { file: u8, state: u8 },
    Unbury { file: u8, state: u8 },
    Remove { file: u8, state: u8, whatever: bool },
}

/// What the port says to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    /// There is a row, or another one than expected.
    Row(Rec),
    /// There is an object.
    AlreadyExists,
}

/// What becomes of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Works,
    LostRequest,
    LostAnswer,
    /// It happens later, or never.
    Late,
    /// A layer below repeats it, and tells what it said to the second.
    Repeated,
}

/// No answer: nothing is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost;

impl State {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let budget = scenario.budget;
        let left = Left {
            crashes: budget.crashes_max,
            faults: budget.faults_max,
            late_writes: budget.late_writes_max,
            rots: budget.rots_max,
            restagings: u8::try_from(scenario.restagings.len()).unwrap(),
        };
        let mut files = [File::default(); PUBLICATIONS];
        for (file, content) in files.iter_mut().zip(&scenario.staged) {
            file.content = Some(*content);
        }
        let mut procs = [Proc::absent(); ACTORS];
        procs[..scenario.actors.len()].fill(Proc::new(budget));
        let world = World {
            clock: 0,
            rows: [None; PUBLICATIONS],
            objects: [None; KEYS],
            files,
            sinks: [Sink::default(); PUBLICATIONS],
            late: [None; 2],
            left,
            seen: Seen::default(),
        };
        Self { world, procs }
    }

    /// Writes, as fate has it.
    pub(crate) fn write(&mut self, ledger: &Ledger, write: Write, fate: Fate) -> Result<Reply, Lost> {
        match fate {
            Fate::Works => Ok(self.apply(ledger, write)),
            Fate::LostRequest => Err(Lost),
            Fate::LostAnswer => {
                self.apply(ledger, write);
                Err(Lost)
            }
            Fate::Late => {
                let slot = self.world.late.iter_mut().find(|slot| slot.is_none());
                *slot.expect("fates looked for a free place") = Some(write);
                Err(Lost)
            }
            Fate::Repeated => {
                self.apply(ledger, write);
                Ok(self.apply(ledger, write))
            }
        }
    }

    /// What the write does to the world, and what the port then says.
    pub(crate) fn apply(&mut self, ledger: &Ledger, write: Write) -> Reply {
        let world = &mut self.world;
        match write {
            Write::Claim(first) => match &mut world.rows[usize::from(first.publication)] {
                Some(row) => return Reply::Row(*row),
                row @ None => *row = Some(first),
            },
            Write::Advance(next) => {
                let row = world.rows[usize::from(next.publication)].as_mut().expect("a claimed publication");
                if row.record.revision + 1 != next.record.revision && !ledger.scenario.has(Bug::CasIgnored) {
                    return Reply::Row(*row);
                }
                *row = next;
            }
            Write::Create { key, content, from, over } => {
                let object = &mut world.objects[usize::from(key)];
                if object.is_some() {
                    if !over {
                        return Reply::AlreadyExists;
                    }
                    self.breaks(properties::ADDITIVE);
                }
                let object = &mut self.world.objects[usize::from(key)];
                *object = Some(Object { content, from, proven: false, rotted: false });
            }
            Write::Append(record) => {
                for entry in &record.outbox {
                    self.keep(record.publication, *entry);
                }
            }
            Write::Bury { file, state } => self.bury(file, state),
            Write::Unbury { file, state } => {
                let file = &mut world.files[usize::from(file)];
                (file.buried, file.used_by) = (file.buried & !(1 << state), 0);
            }
            Write::Remove { file, state, whatever } => {
                let staged = world.files[usize::from(file)];
                if staged.content.is_some() && (staged.state == state || whatever) {
                    self.check_removal(ledger, file);
                    self.world.files[usize::from(file)].content = None;
                }
            }
        }
        Reply::Done
    }

    fn keep(&mut self, publication: u8, entry: Entry) {
        let sink = &mut self.world.sinks[usize::from(publication)];
        match &mut sink.kept[entry.sequence] {
            kept @ 0 => {
                *kept = entry.content;
                sink.published |= u32::from(entry.published) << entry.sequence;
            }
            kept if *kept != entry.content => self.breaks(properties::TRAIL),
            _ => {}
        }
    }

    fn bury(&mut self, number: u8, state: u8) {
        let world = &mut self.world;
        let file = &mut world.files[usize::from(number)];
        if file.buried & 1 << state == 0 {
            file.buried |= 1 << state;
            let users = world.rows.iter().flatten().filter(|row| row.file == number);
            file.used_by = users.fold(0, |all, row| all | 1 << row.publication);
        }
    }

    /// Notes that a promise was seen to be broken.
    pub(crate) fn breaks(&mut self, promise: u16) {
        self.world.seen.broken |= promise;
    }
}

impl Fate {
    pub(crate) const ALL: [Self; 5] = [Self::Works, Self::LostRequest, Self::LostAnswer, Self::Late, Self::Repeated];
}
