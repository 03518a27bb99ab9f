package clipmill.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.fnexecution.control.DefaultJobBundleFactory;
import org.apache.beam.runners.fnexecution.control.StageBundleFactory;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.sdk.util.construction.BeamUrns;
import org.apache.beam.sdk.util.construction.graph.ExecutableStage;

/**
 * The Beam workers of one job on one TaskManager: all its subtasks share them.
 *
 * <p>In blocking mode one stage ends before the next begins. A worker takes seconds to
 * start, so it is kept for a moment after the last task that used it, unless that failed or
 * was cancelled: then whatever it still does is to end at once.
 */
final class Workers {
  private static final Map<String, Workers> RUNNING = new HashMap<>();
  private static final String EXTERNAL =
      BeamUrns.getUrn(RunnerApi.StandardEnvironments.Environments.EXTERNAL);
  private static final long KEPT_MILLISECONDS = 5_000;

  private final String jobId;
  private final DefaultJobBundleFactory factory;
  private int numUsers;
  private int numUses;

  private Workers(String jobId, JobInfo jobInfo) {
    this.jobId = jobId;
    factory =
        DefaultJobBundleFactory.create(
            jobInfo, Map.of(EXTERNAL, new LoopbackServers.Environments()));
  }

  static Workers acquire(String jobId, JobInfo jobInfo) {
    synchronized (RUNNING) {
      Workers workers = RUNNING.computeIfAbsent(jobId, id -> new Workers(id, jobInfo));
      workers.numUsers++;
      workers.numUses++;
      return workers;
    }
  }

  StageBundleFactory forStage(ExecutableStage stage) {
    return factory.forStage(stage);
  }

  /** Ends one use; with the last one the workers end, at once or if nobody wants them. */
  void release(boolean isAtOnce) throws Exception {
    synchronized (RUNNING) {
      if (--numUsers > 0) {
        return;
      }
      if (isAtOnce) {
        close();
        return;
      }
      int numUsesBefore = numUses;
      Thread closing = new Thread(() -> closeUnlessUsed(numUsesBefore), "close-beam-workers");
      closing.setDaemon(true);
      closing.start();
    }
  }

  private void closeUnlessUsed(int numUsesBefore) {
    try {
      Thread.sleep(KEPT_MILLISECONDS);
      synchronized (RUNNING) {
        if (numUsers == 0 && numUses == numUsesBefore) {
          close();
        }
      }
    } catch (Exception error) {
      throw new IllegalStateException("the workers of job " + jobId + " did not end", error);
    }
  }

  private void close() throws Exception {
    if (RUNNING.remove(jobId, this)) {
      factory.close();
    }
  }
}
