//! Which seeds of a sweep one machine runs, where several share it.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// One of so many parts of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 1, as `cargo nextest --partition` counts.
    number: u64,
    of: u64,
}

/// What a shard must look like.
pub(crate) const EXPECTED: &str = "a shard and how many there are, such as 3/16; they count from \
                                   1 (Kubernetes' JOB_COMPLETION_INDEX counts from 0: add 1)";

impl Shard {
    /// All seeds.
    pub(crate) const WHOLE: Shard = Shard { number: 1, of: 1 };

    /// `None` unless `number` is in `1..=of`.
    pub(crate) fn new(number: u64, of: u64) -> Option<Shard> {
        (1..=of).contains(&number).then_some(Shard { number, of })
    }

    pub(crate) fn is_whole(self) -> bool {
        self.of == 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = ();

    fn from_str(text: &str) -> Result<Shard, ()> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let (number, of) = text.split_once('/').ok_or(())?;
        if !digits(number) || !digits(of) {
            return Err(());
        }
        let shard = Shard::new(number.parse().map_err(|_| ())?, of.parse().map_err(|_| ())?);
        shard.ok_or(())
    }
}

/// The seeds of one shard: of `of` that follow each other, each shard has one. So every shard has
/// its part of the low seeds, and as many as the others, give or take one.
#[derive(Clone, Debug)]
pub(crate) struct Seeds {
    range: Range<u64>,
    shard: Shard,
}

impl Seeds {
    pub(crate) fn new(range: Range<u64>, shard: Shard) -> Seeds {
        Seeds { range, shard }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        let all = self.range.end.saturating_sub(self.range.start);
        match all.checked_sub(self.shard.number) {
            Some(after_first) => after_first / self.shard.of + 1,
            None => 0,
        }
    }

    /// The seed at this place, below [`len`](Seeds::len).
    pub(crate) fn at(&self, place: u64) -> u64 {
        self.range.start + (self.shard.number - 1) + place * self.shard.of
    }

    /// The first seed of the whole sweep.
    pub(crate) fn first_of_all(&self) -> u64 {
        self.range.start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seeds_of(range: &Range<u64>, shard: Shard) -> Vec<u64> {
        let seeds = Seeds::new(range.clone(), shard);
        (0..seeds.len()).map(|place| seeds.at(place)).collect()
    }

    proptest! {
        #[test]
        fn the_shards_are_the_whole_without_overlap(
            start in prop_oneof![0_u64..1_000, u64::MAX - 2_000..u64::MAX - 1_000],
            length in 0_u64..500,
            of in 1_u64..40,
        ) {
            let range = start..start + length;
            let parts: Vec<Vec<u64>> = (1..=of)
                .map(|number| seeds_of(&range, Shard::new(number, of).expect("in range")))
                .collect();
            for part in &parts {
                prop_assert!(part.is_sorted());
                // Even: no shard has two more than another.
                prop_assert!(part.len() as u64 >= length / of);
                prop_assert!(part.len() as u64 <= length.div_ceil(of));
            }
            let mut union: Vec<u64> = parts.concat();
            union.sort_unstable();
            // A seed in two shards would be there twice.
            prop_assert_eq!(union, range.collect::<Vec<u64>>());
        }

        #[test]
        fn a_shard_is_read_back_as_written(of in 1_u64.., number in 1_u64..) {
            let shard = Shard::new((number - 1) % of + 1, of).expect("in range");
            prop_assert_eq!(shard.to_string().parse::<Shard>(), Ok(shard));
        }
    }

    #[test]
    fn one_shard_of_one_is_all() {
        assert_eq!(seeds_of(&(3..6), Shard::WHOLE), [3, 4, 5]);
        assert!(Shard::WHOLE.is_whole());
        assert_eq!("1/1".parse::<Shard>(), Ok(Shard::WHOLE));
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["", "3", "0/4", "5/4", "0/0", "1/0", "-1/4", "+1/4", "1/4/2", " 1/4", "a/b"] {
            assert_eq!(text.parse::<Shard>(), Err(()), "{text:?}");
        }
    }
}
