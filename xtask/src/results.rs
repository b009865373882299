//! The results of tests, as the last line of a Rust test binary has them. Commands whose tests are no Rust tests print such a
//! line, too, so that `cargo xtask ci` counts these tests.

/// Numbers of tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TestCounts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl TestCounts {
    /// The counts in a line of the form `test result: ok. 12 passed; 0 failed; …`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("test result: ")?.split_whitespace().skip(1);
        let passed = words.next()?.parse().ok()?;
        let failed = words.nth(1)?.parse().ok()?;
        Some(Self { passed, failed })
    }

    /// The counts at the end of what `node --test` reports in TAP. A test that was skipped or cancelled counts as failed.
    pub(crate) fn of_tap(results: &str) -> Option<Self> {
        let number = |name: &str| -> Option<u32> {
            let line = results.lines().rev().find_map(|line| line.strip_prefix(&format!("# {name} ")))?;
            line.trim().parse().ok()
        };
        let passed = number("pass")?;
        Some(Self { passed, failed: number("tests")?.checked_sub(passed)? })
    }

    /// The line with these counts.
    pub(crate) fn to_line(self, seconds: u64) -> String {
        let Self { passed, failed } = self;
        let result = if failed == 0 { "ok" } else { "FAILED" };
        format!("test result: {result}. {passed} passed; {failed} failed; finished in {seconds} s")
    }
}

/// Prints a line of what a command shows.
#[expect(clippy::print_stdout, reason = "the output of the command")]
pub(crate) fn print_line(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_by_the_last_line_of_a_test_binary() {
        let line = "test result: ok. 27 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 19.13s";
        assert_eq!(TestCounts::parse(line), Some(TestCounts { passed: 27, failed: 1 }));
        for line in ["running 27 tests", "test result: ok.", "test result: ok. many passed; 1 failed;"] {
            assert_eq!(TestCounts::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_line_of_a_command_is_read_like_that_of_a_test_binary() {
        let counts = TestCounts { passed: 1, failed: 3 };
        assert_eq!(counts.to_line(7), "test result: FAILED. 1 passed; 3 failed; finished in 7 s");
        assert_eq!(TestCounts::parse(&counts.to_line(7)), Some(counts));
    }

    #[test]
    fn tests_are_counted_at_the_end_of_the_results_of_node() {
        let results = "TAP version 13\n# tests are run\nok 1 - a\n1..4\n# tests 4\n# suites 0\n# pass 1\n# fail 1\n\
            # cancelled 1\n# skipped 1\n# todo 0\n";
        assert_eq!(TestCounts::of_tap(results), Some(TestCounts { passed: 1, failed: 3 }));
        assert_eq!(TestCounts::of_tap("TAP version 13\n"), None);
    }
}
