//! Sorting sids. They are consecutive numbers with gaps, so that each usually has its own bit in a small map.

/// So few are sorted faster than marked.
const FEW: usize = 64;

/// A map with more words than sids would take too long, and more memory than the sids.
const WORDS_PER_SID: u64 = 1;

/// Sorts `sids`, which differ from each other, ascending.
pub(super) fn sort(sids: &mut Vec<u64>) {
    let (Some(first), Some(last)) = (sids.iter().min().copied(), sids.iter().max().copied()) else { return };
    let words = (last - first) / 64 + 1;
    match usize::try_from(words) {
        Ok(len) if sids.len() >= FEW && words <= WORDS_PER_SID * sids.len() as u64 => sort_by_map(sids, first, len),
        _ => sids.sort_unstable(),
    }
}

fn sort_by_map(sids: &mut Vec<u64>, first: u64, words: usize) {
    let mut map = vec![0_u64; words];
    for sid in sids.drain(..) {
        let place = sid - first;
        if let Some(word) = map.get_mut((place / 64) as usize) {
            *word |= 1 << (place % 64);
        }
    }
    for (at, word) in map.into_iter().enumerate() {
        let (start, mut left) = (first + 64 * at as u64, word);
        while left != 0 {
            sids.push(start + u64::from(left.trailing_zeros()));
            left &= left - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_and_distant_sids_are_sorted_alike() {
        for (step, count) in [(1, 10), (1, 1000), (7, 1000), (63, 500), (64, 500), (65, 500), (1000, 500)] {
            for first in [0, 1, 63, 64, u64::MAX - 1000 * step] {
                let ascending: Vec<u64> = (0..count).map(|n| first + n * step).collect();
                // In another order: 7 and 11 have no factor in common with the counts.
                let mut mixed: Vec<u64> =
                    (0..count).map(|n| first + n * if count % 7 == 0 { 11 } else { 7 } % count * step).collect();
                sort(&mut mixed);
                assert_eq!(mixed, ascending, "{first} {step} {count}");
            }
        }
        let mut none = Vec::new();
        sort(&mut none);
        assert!(none.is_empty());
    }
}
