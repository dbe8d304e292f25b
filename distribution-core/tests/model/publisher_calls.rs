//! What may happen to publishers and to the world around them. The reference knows only what does not
//! depend on how publishers work: which files are staged.

use std::collections::BTreeMap;

use distribution_testkit::{Fault, Plant};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// The staged files' names, and what is approved of each.
pub(crate) const FILES: [(&str, &[u8]); 3] =
    [("clip.mp4", b"approved bytes of a clip"), ("b/clip.mp4", b"another clip"), ("https://host/film.mp4", b"a film")];

/// A file staged before QC has seen it.
pub(crate) const WRONG: &[u8] = b"bytes that nobody approved";

/// One call of `publish`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Which of the holders.
    pub(crate) holder: usize,
    /// Which of the files.
    pub(crate) file: usize,
    pub(crate) title: u8,
    /// How long QC's verdict counts.
    pub(crate) approved_secs: Option<u16>,
    /// Whether QC has passed it.
    pub(crate) passed: bool,
    pub(crate) hours: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum Transition {
    /// One call, to its end or dropped after so many polls.
    Publish {
        call: Call,
        polls: Option<u16>,
    },
    /// Two calls, polled in turns as the bits say; where both bytes are 0, a minute goes by.
    Race {
        calls: [Call; 2],
        turns: Vec<u8>,
    },
    /// The first effect that it fits, so many ahead, goes wrong.
    Fault {
        ahead: usize,
        fault: Fault,
    },
    Advance {
        secs: u32,
    },
    /// A file is staged, approved bytes or not; or removed.
    Stage {
        file: usize,
        bytes: Option<bool>,
    },
    /// The next read of a staged file goes wrong.
    Plant {
        file: usize,
        plant: Plant,
    },
    /// An object rots that no record says is published.
    Rot {
        nth: usize,
    },
    Restart {
        holder: usize,
    },
    Recover {
        holder: usize,
    },
    /// Everything works again, and callers repeat: whatever happened before, all is published.
    Settle,
}

/// What is staged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Staged(pub(crate) BTreeMap<&'static str, &'static [u8]>);

impl Staged {
    pub(crate) fn all() -> Self {
        Self(FILES.into())
    }
}

impl ReferenceStateMachine for Staged {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::all()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Transition> {
        prop_oneof![
            8 => (call(), prop::option::of(0..60_u16)).prop_map(|(call, polls)| Transition::Publish { call, polls }),
            4 => ([call(), call()], prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(calls, turns)| Transition::Race { calls, turns }),
            6 => (0..16_usize, prop::sample::select(&Fault::ALL[..])).prop_map(|(ahead, fault)| Transition::Fault { ahead, fault }),
            3 => prop_oneof![0..100_u32, 0..400_000_u32].prop_map(|secs| Transition::Advance { secs }),
            2 => (0..FILES.len(), prop::option::of(any::<bool>())).prop_map(|(file, bytes)| Transition::Stage { file, bytes }),
            1 => (0..FILES.len(), prop::sample::select(vec![Plant::EndsEarly, Plant::Fails])).prop_map(|(file, plant)| Transition::Plant { file, plant }),
            1 => (0..4_usize).prop_map(|nth| Transition::Rot { nth }),
            1 => (0..3_usize).prop_map(|holder| Transition::Restart { holder }),
            1 => (0..3_usize).prop_map(|holder| Transition::Recover { holder }),
            1 => Just(Transition::Settle),
        ]
        .boxed()
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        match transition {
            Transition::Stage { file, bytes } => {
                let (name, approved) = FILES[*file];
                match bytes {
                    Some(right) => drop(state.0.insert(name, if *right { approved } else { WRONG })),
                    None => drop(state.0.remove(name)),
                }
            }
            Transition::Settle => state = Self::all(),
            _ => {}
        }
        state
    }
}

fn call() -> impl Strategy<Value = Call> {
    let (approved_secs, passed) = (prop::option::weighted(0.2, 0..200_u16), prop::bool::weighted(0.9));
    let strategy = (0..3_usize, 0..FILES.len(), 0..2_u8, approved_secs, passed, 1..169_u32);
    strategy.prop_map(|(holder, file, title, approved_secs, passed, hours)| Call {
        holder,
        file,
        title,
        approved_secs,
        passed,
        hours,
    })
}
