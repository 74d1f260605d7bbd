//! Parts of command lines: numbers in a range, and rules that concern several options. Errors name the value and the rule.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::CommandFactory;
use clap::error::ErrorKind;

/// Parses a number in this range, with or without `_` between its digits.
pub(crate) fn number<N>(range: RangeInclusive<N>) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.replace('_', "").parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("must be a number from {} to {}", range.start(), range.end()))
    }
}

/// Ends the program like an invalid argument, with exit code 2.
pub(crate) fn refuse<Args: CommandFactory>(rule: &str) -> ! {
    Args::command().error(ErrorKind::ValueValidation, rule).exit()
}
