//! Durations as an attribute's options write them: `"250ms"`, `"30s"`, `"10m"`, `"1h"`.

/// Why a text is no duration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DurationError {
    /// It is not a whole number followed by a unit.
    Malformed,
    /// It is more milliseconds than 64 bits hold.
    TooLong,
}

/// Reads a whole number and its unit, without a space between them, as milliseconds.
pub(crate) fn parse_milliseconds(text: &str) -> Result<u64, DurationError> {
    let unit_start = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError::Malformed)?;
    let (number, unit) = text.split_at(unit_start);
    if number.is_empty() {
        return Err(DurationError::Malformed);
    }
    let unit_milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(DurationError::Malformed),
    };
    // The number is all digits and not empty: only its size can be wrong.
    let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
    number.checked_mul(unit_milliseconds).ok_or(DurationError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        assert_eq!(parse_milliseconds("250ms"), Ok(250));
        assert_eq!(parse_milliseconds("30s"), Ok(30_000));
        assert_eq!(parse_milliseconds("10m"), Ok(600_000));
        assert_eq!(parse_milliseconds("1h"), Ok(3_600_000));
        assert_eq!(parse_milliseconds("0s"), Ok(0));
    }

    #[test]
    fn refuses_what_is_no_number_with_a_unit() {
        for text in ["", "30", "s", "30 s", " 30s", "30s ", "-1s", "1.5s", "1_000s", "30us", "30S"]
        {
            assert_eq!(parse_milliseconds(text), Err(DurationError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_64_bits_of_milliseconds_do_not_hold() {
        assert_eq!(parse_milliseconds("18446744073709551615ms"), Ok(u64::MAX));
        assert_eq!(parse_milliseconds("18446744073709551616ms"), Err(DurationError::TooLong));
        assert_eq!(parse_milliseconds("18446744073709551615s"), Err(DurationError::TooLong));
    }
}
