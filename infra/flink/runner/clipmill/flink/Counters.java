package clipmill.flink;

import java.util.List;
import org.apache.beam.model.fnexecution.v1.BeamFnApi;
import org.apache.beam.model.pipeline.v1.MetricsApi;
import org.apache.beam.runners.core.metrics.MetricsContainerStepMap;
import org.apache.beam.runners.fnexecution.control.BundleProgressHandler;
import org.apache.flink.api.common.accumulators.Accumulator;
import org.apache.flink.api.common.functions.RuntimeContext;

/**
 * Beam's counters as a Flink accumulator, which Flink joins over all tasks of a job.
 *
 * <p>Beam's Python half asks the JobManager for the accumulator of this name, and reads its
 * text as JSON: that is what Beam's step map writes.
 */
final class Counters implements Accumulator<MetricsContainerStepMap, MetricsContainerStepMap> {
  private static final String NAME = "__metricscontainers";
  private static final String STEP = "PTRANSFORM";

  private MetricsContainerStepMap counted = new MetricsContainerStepMap();

  /** Returns the counters of a task; the stages that it chains share them. */
  static Counters of(RuntimeContext task) {
    Accumulator<MetricsContainerStepMap, MetricsContainerStepMap> known = task.getAccumulator(NAME);
    if (known == null) {
      known = new Counters();
      task.addAccumulator(NAME, known);
    }
    return (Counters) known;
  }

  /** Returns a handler that counts what a bundle counted, once it is done. */
  BundleProgressHandler handler() {
    return new BundleProgressHandler() {
      @Override
      public void onProgress(BeamFnApi.ProcessBundleProgressResponse progress) {}

      @Override
      public void onCompleted(BeamFnApi.ProcessBundleResponse done) {
        for (MetricsApi.MonitoringInfo info : done.getMonitoringInfosList()) {
          String step = info.getLabelsOrDefault(STEP, "");
          counted.getContainer(step).update(List.of(info));
        }
      }
    };
  }

  @Override
  public void add(MetricsContainerStepMap more) {
    counted.updateAll(more);
  }

  @Override
  public MetricsContainerStepMap getLocalValue() {
    return counted;
  }

  @Override
  public void resetLocal() {
    counted = new MetricsContainerStepMap();
  }

  @Override
  public void merge(Accumulator<MetricsContainerStepMap, MetricsContainerStepMap> other) {
    counted.updateAll(other.getLocalValue());
  }

  @Override
  public Counters clone() {
    Counters copy = new Counters();
    copy.counted.updateAll(counted);
    return copy;
  }

  @Override
  public String toString() {
    return counted.toString();
  }
}
