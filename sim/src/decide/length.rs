//! How long a run is: what PCT spreads its change points over.

use std::fmt;
use std::str::FromStr;

use super::stream::Stream;

/// The length of a run, as a random walk measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Length {
    /// Choices between two or more threads.
    pub(crate) choices: u64,
    /// All steps, those of a thread alone among them.
    pub(crate) steps: u64,
}

impl Length {
    /// The number of choices that a run under priorities is taken to have.
    ///
    /// A random walk lets threads end at about the same time, priorities one after the other. So
    /// these have more choices, of which the last ones would never be change points; but never
    /// more than steps, which are often many times as many as there are choices. One run in two
    /// assumes each.
    pub(super) fn draw(self, stream: &mut Stream) -> u64 {
        if stream.below(2) == 0 { self.choices } else { self.steps }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.choices, self.steps)
    }
}

impl FromStr for Length {
    type Err = ();

    fn from_str(text: &str) -> Result<Length, ()> {
        let (choices, steps) = text.split_once('/').ok_or(())?;
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Length { choices: number(choices)?, steps: number(steps)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_as_written() {
        let length = Length { choices: 17, steps: 1_000 };
        assert_eq!(length.to_string().parse(), Ok(length));
        for text in ["", "17", "17/", "/17", "a/b"] {
            assert_eq!(text.parse::<Length>(), Err(()), "{text}");
        }
    }

    #[test]
    fn each_is_drawn() {
        let length = Length { choices: 17, steps: 1_000 };
        let drawn = |seed| length.draw(&mut Stream::new(seed, 0));
        let of_choices = (0..1_000).filter(|seed| drawn(*seed) == 17).count();
        let of_steps = (0..1_000).filter(|seed| drawn(*seed) == 1_000).count();
        assert_eq!(of_choices + of_steps, 1_000);
        // Six standard deviations are 95.
        assert!(of_choices.abs_diff(500) < 95, "{of_choices}");
    }
}
