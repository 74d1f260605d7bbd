//! The process's recorder, which keeps all reports; tests find their series by the label `service`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// Everything that was reported in this process. Series are written `name{key=value,key=value}`, with keys in order.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    series: Arc<Mutex<BTreeMap<String, Arc<Series>>>>,
    described: Arc<Mutex<BTreeMap<String, Description>>>,
}

/// Kind, unit and text.
pub(crate) type Description = (&'static str, Option<Unit>, String);

/// One series of any kind: the sum, the last value, and the samples.
#[derive(Default)]
struct Series {
    sum: AtomicU64,
    value: Mutex<Option<f64>>,
    samples: Mutex<Vec<f64>>,
}

/// The recorder of this process, installed at the first call.
pub(crate) fn seen() -> Seen {
    static SEEN: OnceLock<Seen> = OnceLock::new();
    let install = || {
        let seen = Seen::default();
        metrics::set_global_recorder(seen.clone()).unwrap_or_else(|error| panic!("{error}"));
        seen
    };
    SEEN.get_or_init(install).clone()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// A counter; `None` if it was never reported.
    pub(crate) fn counter(&self, series: &str) -> Option<u64> {
        Some(lock(&self.series).get(series)?.sum.load(Ordering::Relaxed))
    }

    /// A gauge; `None` if it was never reported.
    pub(crate) fn gauge(&self, series: &str) -> Option<f64> {
        *lock(&lock(&self.series).get(series)?.value)
    }

    /// All samples of a histogram, in order.
    pub(crate) fn samples(&self, series: &str) -> Vec<f64> {
        lock(&self.series).get(series).map(|series| lock(&series.samples).clone()).unwrap_or_default()
    }

    /// Whether there is a series, with or without a report.
    pub(crate) fn is_registered(&self, series: &str) -> bool {
        lock(&self.series).contains_key(series)
    }

    /// The series whose names begin with `begin`, with their sums.
    pub(crate) fn counters(&self, begin: &str) -> BTreeMap<String, u64> {
        let all = lock(&self.series);
        let some = all.iter().filter(|(name, _)| name.starts_with(begin));
        some.map(|(name, series)| (name.clone(), series.sum.load(Ordering::Relaxed))).collect()
    }

    /// The description of a metric.
    pub(crate) fn description(&self, name: &str) -> Option<Description> {
        lock(&self.described).get(name).cloned()
    }

    fn describe(&self, kind: &'static str, key: &KeyName, unit: Option<Unit>, text: &str) {
        lock(&self.described).insert(key.as_str().to_owned(), (kind, unit, text.to_owned()));
    }

    fn series(&self, key: &Key) -> Arc<Series> {
        let mut labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        lock(&self.series).entry(format!("{}{{{}}}", key.name(), labels.join(","))).or_default().clone()
    }
}

impl Recorder for Seen {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("counter", &key, unit, &text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("gauge", &key, unit, &text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("histogram", &key, unit, &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.sum.store(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        let mut now = lock(&self.value);
        *now = Some(now.unwrap_or_default() + value);
    }

    fn decrement(&self, value: f64) {
        GaugeFn::increment(self, -value);
    }

    fn set(&self, value: f64) {
        *lock(&self.value) = Some(value);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        lock(&self.samples).push(value);
    }
}
