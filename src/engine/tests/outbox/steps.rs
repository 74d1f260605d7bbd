//! What may be done to an outbox and its flight, and by which rules.

use std::time::Duration;

use proptest::prelude::*;

use crate::engine::{DeliveryMode, OutboxRules, OverflowPolicy};

pub(super) const AGE: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
pub(super) enum Step {
    Admit { size: usize, reply: bool, headers: bool },
    Subscribe,
    Load,
    Ping,
    Pong,
    Answer,
    Wire,
    Take(usize),
    Report,
    Lose,
    Open,
    Buffer,
    Cancel(usize),
    Revise { max: usize, headers: bool },
    Wait(u64),
    GiveUp,
    Shrink,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![8 => 0_usize..40, 1 => 1000_usize..5000, 1 => 32_760_usize..33_000];
    prop_oneof![
        10 => (size, any::<bool>(), any::<bool>()).prop_map(|(size, reply, headers)| Step::Admit { size, reply, headers }),
        2 => Just(Step::Subscribe),
        5 => Just(Step::Load),
        2 => Just(Step::Ping),
        1 => Just(Step::Pong),
        2 => Just(Step::Answer),
        1 => Just(Step::Wire),
        4 => (0_usize..100).prop_map(Step::Take),
        2 => (0_usize..40_000).prop_map(Step::Take),
        2 => Just(Step::Take(usize::MAX)),
        2 => Just(Step::Report),
        2 => Just(Step::Lose),
        3 => Just(Step::Open),
        1 => Just(Step::Buffer),
        4 => (0_usize..12).prop_map(Step::Cancel),
        1 => (0_usize..6000, any::<bool>()).prop_map(|(max, headers)| Step::Revise { max, headers }),
        3 => (0_u64..30).prop_map(Step::Wait),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Shrink),
    ]
}

pub(super) fn rules() -> impl Strategy<Value = OutboxRules> {
    let cap = prop_oneof![3 => 60_usize..2000, 1 => 30_000_usize..100_000, 1 => Just(8_usize << 20), 1 => Just(0)];
    let overflow = prop_oneof![
        Just(OverflowPolicy::Error),
        Just(OverflowPolicy::DropOldest),
        Just(OverflowPolicy::DropNewest),
        Just(OverflowPolicy::Wait(AGE)),
    ];
    let delivery = prop_oneof![Just(DeliveryMode::AtMostOnce), Just(DeliveryMode::AtLeastOnce)];
    (cap, proptest::option::of(1_u64..12), overflow, any::<bool>(), delivery).prop_map(
        |(cap, messages, overflow, ages, delivery)| OutboxRules {
            cap,
            messages,
            overflow,
            max_age: ages.then_some(AGE),
            delivery,
        },
    )
}
