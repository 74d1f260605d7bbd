//! What the worlds had in them.

use std::time::Duration;

macro_rules! tally {
    ($($field:ident: $kind:ty,)+) => {
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $field: $kind,)+
        }

        impl Tally {
            pub(crate) fn add(&mut self, other: Tally) {
                $(self.$field += other.$field;)+
            }

            /// What did not occur at all.
            pub(crate) fn nothing_of(&self) -> Vec<&'static str> {
                let mut nothing = Vec::new();
                $(if self.$field == <$kind>::default() {
                    nothing.push(stringify!($field));
                })+
                nothing
            }
        }
    };
}

tally! {
    dials: usize,
    secure: u64,
    calm: u64,
    losses: u64,
    lame_ducks_left: u64,
    forced: u64,
    failbacks: u64,
    messages: u64,
    from_the_neighbour: u64,
    in_doubt: u64,
    resent: u64,
    dropped: u64,
    expired: u64,
    critical_refused: u64,
    limits_reached: u64,
    flushes: u64,
    replies: u64,
    virtual_time: Duration,
}
