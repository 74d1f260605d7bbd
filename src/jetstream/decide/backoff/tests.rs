//! The delays between pulls.

use rand::SeedableRng;

use super::*;

#[test]
fn delays_grow_to_a_second_and_are_spread() {
    let (now, mut rng) = (Instant::now(), SmallRng::seed_from_u64(1));
    for (number, most) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (u32::MAX, 1_000)] {
        let most = Duration::from_millis(most);
        let delays: Vec<_> = (0..50).map(|_| after(now, number, &mut rng) - now).collect();
        assert!(delays.iter().all(|delay| (most / 2..=most).contains(delay)), "{number}: {delays:?}");
        assert!(delays.iter().any(|delay| *delay < most * 3 / 4), "{number}: {delays:?}");
        assert!(delays.iter().any(|delay| *delay > most * 3 / 4), "{number}: {delays:?}");
    }
}
