//! Operations and bytes per second of decoder and encoder, by operation and payload size. A case is measured only if it
//! makes no allocation.
//!
//! `cargo bench --manifest-path benches/protocol/Cargo.toml [-- FILTER]`; instructions per operation: see
//! `benches/instructions`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;

/// Operations of one iteration.
const BATCH: usize = 1000;

fn protocol(criterion: &mut Criterion) {
    for mut case in protocol_bench::cases() {
        // After reused buffers have grown.
        case.run(10 * BATCH);
        let allocations = allocation_counter::measure(|| case.run(10 * BATCH)).count_total;
        assert_eq!(allocations, 0, "{} allocates", case.name);
        let (elements, bytes) = (BATCH as u64, (BATCH * case.bytes) as u64);
        let mut group = criterion.benchmark_group("protocol");
        group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(30);
        group.throughput(Throughput::ElementsAndBytes { elements, bytes });
        group.bench_function(BenchmarkId::from_parameter(&case.name), |bencher| bencher.iter(|| case.run(BATCH)));
        group.finish();
    }
}

criterion_group!(benches, protocol);
criterion_main!(benches);
