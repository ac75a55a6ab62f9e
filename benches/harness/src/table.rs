//! The table on the terminal: one line a row.

use crate::measure::{Measurement, RowResult, is_volt};
use crate::row::Row;

/// Room for a time with its unit, such as `999.99 µs`.
const TIME_WIDTH: usize = 9;
/// Names the second line of a row in which CPU time decides.
const ELAPSED: &str = "  elapsed";
const BETWEEN_CONTENDERS: &str = "  ";

/// The widths of the columns, chosen before anything is measured so that lines can be printed as
/// they come.
pub(crate) struct Table {
    row: usize,
    volt: usize,
    peers: usize,
    amounts: usize,
}

impl Table {
    pub(crate) fn for_rows(rows: &[Row]) -> Self {
        let widest = |of: &dyn Fn(&Row) -> usize, title: &str| {
            rows.iter().map(of).max().unwrap_or(0).max(title.len())
        };
        let contenders = |row: &Row, volt: bool| {
            let chosen = row.contender_names().filter(|name| is_volt(name) == volt);
            let cells: Vec<usize> = chosen.map(|name| name.len() + 1 + TIME_WIDTH).collect();
            cells.iter().sum::<usize>() + cells.len().saturating_sub(1) * BETWEEN_CONTENDERS.len()
        };
        Self {
            row: widest(&|row| row.name().len(), ELAPSED),
            volt: widest(&|row| contenders(row, true), "volt"),
            peers: widest(&|row| contenders(row, false), "peers"),
            amounts: widest(&|row| row.contender_names().count() * 8, "allocs/op"),
        }
    }

    pub(crate) fn header(&self) -> String {
        let titles = self.columns("row", "volt", "peers", "ratio", "bytes/op", "allocs/op");
        format!(
            "Median time of one operation. Ratio: Volt's best to the best peer, below 1 is ahead.\n\
             In a row above `elapsed` the times are CPU time of the process that did the work.\n\
             Bytes and allocations: Volt's, then each peer's, in the order of the times.\n\n\
             {titles}\n"
        )
    }

    /// The line of a row; below it, where CPU time decides, what elapsed, and whoever was absent.
    pub(crate) fn lines(&self, result: &RowResult) -> String {
        let ratio = result.ratio_to_best().map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let amounts = |of: fn(&Measurement) -> f64| {
            let in_order = result.volt().chain(result.others());
            in_order.map(|each| amount(of(each))).collect::<Vec<_>>().join(" / ")
        };
        let mut lines = vec![self.columns(
            &result.row,
            &times(result.volt(), Measurement::decisive_ns),
            &times(result.others(), Measurement::decisive_ns),
            &ratio,
            &amounts(|each| each.bytes_per_op),
            &amounts(|each| each.allocs_per_op),
        )];
        if result.measurements.iter().any(|each| each.cpu.is_some()) {
            let volt = times(result.volt(), |each| each.median_ns);
            let others = times(result.others(), |each| each.median_ns);
            lines.push(self.columns(ELAPSED, &volt, &others, "", "", ""));
        }
        for (contender, reason) in &result.absent {
            lines.push(format!("  {contender} is absent: {reason}"));
        }
        lines.join("\n")
    }

    pub(crate) fn left_out(&self, row: &str, reason: &str) -> String {
        format!("{row:<width$}  left out: {reason}", width = self.row)
    }

    fn columns(
        &self,
        row: &str,
        volt: &str,
        peers: &str,
        ratio: &str,
        bytes: &str,
        allocations: &str,
    ) -> String {
        let line = format!(
            "{row:<row_width$}  {volt:<volt_width$}  {peers:<peers_width$}  {ratio:>6}  \
             {bytes:<amounts_width$}  {allocations}",
            row_width = self.row,
            volt_width = self.volt,
            peers_width = self.peers,
            amounts_width = self.amounts,
        );
        line.trim_end().to_owned()
    }
}

fn times<'a>(
    measurements: impl Iterator<Item = &'a Measurement>,
    of: fn(&Measurement) -> f64,
) -> String {
    let cells: Vec<String> = measurements
        .map(|each| format!("{} {:>TIME_WIDTH$}", each.contender, time(of(each))))
        .collect();
    if cells.is_empty() { "-".to_owned() } else { cells.join(BETWEEN_CONTENDERS) }
}

/// A time in the unit that keeps it short.
fn time(nanos: f64) -> String {
    if nanos < 1e3 {
        format!("{nanos:.1} ns")
    } else if nanos < 1e6 {
        format!("{:.2} µs", nanos / 1e3)
    } else if nanos < 1e9 {
        format!("{:.2} ms", nanos / 1e6)
    } else {
        format!("{:.2} s", nanos / 1e9)
    }
}

/// A number of bytes or allocations: whole where it is whole to two digits.
fn amount(value: f64) -> String {
    let digits = format!("{value:.2}");
    digits.strip_suffix(".00").map_or(digits.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::CpuTime;
    use crate::measure::tests::result;

    fn table() -> Table {
        Table::for_rows(&[Row::new("spawn", 1).timed("volt", || ()).timed("tokio", || ())])
    }

    #[test]
    fn times_choose_their_unit() {
        assert_eq!(time(12.34), "12.3 ns");
        assert_eq!(time(1500.0), "1.50 µs");
        assert_eq!(time(2.5e6), "2.50 ms");
        assert_eq!(time(3e9), "3.00 s");
    }

    #[test]
    fn amounts_drop_an_empty_fraction() {
        assert_eq!(amount(64.0), "64");
        assert_eq!(amount(64.001), "64");
        assert_eq!(amount(1.5), "1.50");
    }

    #[test]
    fn a_loss_is_printed_like_a_win() {
        let line = table().lines(&result(&[("volt", 300.0), ("tokio", 100.0)]));
        assert_eq!(
            line,
            "spawn      volt  300.0 ns  tokio  100.0 ns    3.00  64 / 64           1.50 / 1.50"
        );
    }

    #[test]
    fn cpu_time_stands_above_what_elapsed_and_above_who_is_absent() {
        let mut result = result(&[("volt", 300.0), ("tokio", 100.0)]);
        for (each, median_ns) in result.measurements.iter_mut().zip([5.0, 10.0]) {
            each.cpu = Some(CpuTime { median_ns, min_ns: 4.0 });
        }
        result.absent.push(("volt-io_uring".to_owned(), "no ring".to_owned()));
        let text = table().lines(&result);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("volt    5.0 ns  tokio   10.0 ns    0.50"), "{text}");
        assert!(lines[1].starts_with("  elapsed"), "{text}");
        assert!(lines[1].ends_with("volt  300.0 ns  tokio  100.0 ns"), "{text}");
        assert_eq!(lines[2], "  volt-io_uring is absent: no ring");
    }

    #[test]
    fn the_titles_stand_over_their_columns() {
        let header = table().header();
        let titles = header.lines().last().expect("the header has lines");
        let line = table().lines(&result(&[("volt", 300.0), ("tokio", 100.0)]));
        assert_eq!(titles.find("peers"), line.find("tokio"));
        assert_eq!(titles.find("bytes/op"), line.find("64 / 64"));
    }
}
