//! Rows and their contenders.

use std::fmt;

use crate::sample::{Sample, Stopwatch};

/// One iteration of a contender: performs the operations of its row and says what they took.
pub type Run = Box<dyn FnMut() -> Sample>;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// 5 iterations to warm up and 10 that are measured.
    Full,
    /// `--quick`: 1 iteration to warm up and 5 that are measured.
    Quick,
}

impl Effort {
    /// Chooses between two numbers of operations per iteration.
    ///
    /// ```
    /// use volt_bench_harness::Effort;
    ///
    /// assert_eq!(Effort::Full.ops(1_000_000, 100_000), 1_000_000);
    /// assert_eq!(Effort::Quick.ops(1_000_000, 100_000), 100_000);
    /// ```
    pub fn ops(self, full: u64, quick: u64) -> u64 {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }

    pub(crate) fn warm_up(self) -> usize {
        match self {
            Self::Full => 5,
            Self::Quick => 1,
        }
    }

    pub(crate) fn measured(self) -> usize {
        match self {
            Self::Full => 10,
            Self::Quick => 5,
        }
    }
}

/// Somebody who performs the operation of a row.
pub(crate) struct Contender {
    pub(crate) name: String,
    /// Prepares what all iterations share, a runtime for example. Called once, when the row's turn
    /// has come; what it made is dropped before the next row. An error is why it cannot take part.
    pub(crate) setup: Box<dyn FnOnce() -> Result<Run, String>>,
}

/// One line of the table: an operation and those who perform it.
///
/// ```
/// use volt_bench_harness::{Row, Stopwatch};
///
/// let row = Row::new("push", 1000)
///     .variant("reused")
///     .contender("volt", || {
///         let mut values = Vec::with_capacity(1000);
///         Box::new(move || {
///             values.clear();
///             let stopwatch = Stopwatch::start();
///             values.extend(0..1000);
///             stopwatch.stop()
///         })
///     });
/// assert_eq!(row.name(), "push_reused");
/// ```
pub struct Row {
    family: String,
    name: String,
    ops: u64,
    contenders: Vec<Contender>,
    left_out: Option<String>,
}

impl Row {
    /// A row of which each iteration performs `ops` operations.
    ///
    /// # Panics
    ///
    /// If `ops` is 0.
    pub fn new(name: &str, ops: u64) -> Self {
        assert!(ops > 0, "row `{name}` performs no operation");
        Self {
            family: name.to_owned(),
            name: name.to_owned(),
            ops,
            contenders: Vec::new(),
            left_out: None,
        }
    }

    /// Appends a parameter to the row's name. The command line takes the full name, or the name
    /// given to [`Row::new`] for all its variants.
    #[must_use]
    pub fn variant(mut self, parameter: &str) -> Self {
        self.name = format!("{}_{parameter}", self.name);
        self
    }

    /// Adds a contender. `volt`, and any name that starts with `volt-`, is Volt; `floor` is code
    /// with nobody's runtime, which no ratio is taken of; everyone else is a peer and bears the
    /// name of its crate.
    #[must_use]
    pub fn contender(self, name: &str, setup: impl FnOnce() -> Run + 'static) -> Self {
        self.contender_if_able(name, || Ok(setup()))
    }

    /// Adds a contender as [`Row::contender`] does, one that may find that it cannot run on this
    /// machine. Then it is absent from the row, and the reason is printed.
    #[must_use]
    pub fn contender_if_able(
        mut self,
        name: &str,
        setup: impl FnOnce() -> Result<Run, String> + 'static,
    ) -> Self {
        self.contenders.push(Contender { name: name.to_owned(), setup: Box::new(setup) });
        self
    }

    /// Adds a contender that needs no preparation: each call of `work` is an iteration, all of
    /// it measured.
    #[must_use]
    pub fn timed(self, name: &str, mut work: impl FnMut() + 'static) -> Self {
        self.contender(name, move || {
            Box::new(move || {
                let stopwatch = Stopwatch::start();
                work();
                stopwatch.stop()
            })
        })
    }

    /// Says why this row cannot be measured here. It is still listed, and the reason printed.
    #[must_use]
    pub fn leave_out(mut self, reason: impl Into<String>) -> Self {
        self.left_out = Some(reason.into());
        self
    }

    /// The row's name, with its variant.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn ops(&self) -> u64 {
        self.ops
    }

    pub(crate) fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    pub(crate) fn contender_names(&self) -> impl Iterator<Item = &str> {
        self.contenders.iter().map(|contender| contender.name.as_str())
    }

    pub(crate) fn into_contenders(self) -> Vec<Contender> {
        self.contenders
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("name", &self.name)
            .field("ops", &self.ops)
            .field("contenders", &self.contender_names().collect::<Vec<_>>())
            .field("left_out", &self.left_out)
            .finish()
    }
}

/// A row was asked for that does not exist.
#[derive(Debug)]
pub(crate) struct UnknownRow {
    asked: String,
    known: Vec<String>,
}

impl fmt::Display for UnknownRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no row is named `{}`; the rows are:", self.asked)?;
        for name in &self.known {
            write!(f, "\n  {name}")?;
        }
        Ok(())
    }
}

/// Keeps the rows that were asked for, by name or by family, in the program's order. No name
/// means all.
pub(crate) fn select(rows: Vec<Row>, asked: &[String]) -> Result<Vec<Row>, UnknownRow> {
    let names = |row: &Row, name: &String| *name == row.name || *name == row.family;
    if let Some(unknown) = asked.iter().find(|&name| !rows.iter().any(|row| names(row, name))) {
        return Err(UnknownRow {
            asked: unknown.clone(),
            known: rows.into_iter().map(|row| row.name).collect(),
        });
    }
    let chosen = |row: &Row| asked.is_empty() || asked.iter().any(|name| names(row, name));
    Ok(rows.into_iter().filter(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        vec![
            Row::new("spawn", 1).variant("same_core"),
            Row::new("spawn", 1).variant("cross_core"),
            Row::new("spawn_batch", 1),
        ]
    }

    fn selected(asked: &[&str]) -> Result<Vec<String>, UnknownRow> {
        let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
        Ok(select(rows(), &asked)?.into_iter().map(|row| row.name).collect())
    }

    #[test]
    fn no_name_selects_every_row() {
        let all = ["spawn_same_core", "spawn_cross_core", "spawn_batch"];
        assert_eq!(selected(&[]).expect("nothing is unknown"), all);
    }

    #[test]
    fn a_family_selects_its_variants_and_no_longer_name() {
        let variants = ["spawn_same_core", "spawn_cross_core"];
        assert_eq!(selected(&["spawn"]).expect("the family exists"), variants);
    }

    #[test]
    fn names_select_in_the_programs_order() {
        let asked = ["spawn_batch", "spawn_cross_core"];
        let order = ["spawn_cross_core", "spawn_batch"];
        assert_eq!(selected(&asked).expect("both exist"), order);
    }

    #[test]
    fn an_unknown_row_is_refused_and_the_known_ones_are_listed() {
        let message = selected(&["spawn", "spwan"]).expect_err("a typing error").to_string();
        assert!(message.contains("`spwan`"), "{message}");
        assert!(message.contains("\n  spawn_batch"), "{message}");
    }
}
