package clipmill.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.beam.runners.fnexecution.control.DefaultJobBundleFactory;
import org.apache.beam.runners.fnexecution.control.StageBundleFactory;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.sdk.util.construction.graph.ExecutableStage;

/** The Beam workers of one job on one TaskManager: all its subtasks share them. */
final class Workers {
  private static final Map<String, Workers> RUNNING = new HashMap<>();

  private final String jobId;
  private final DefaultJobBundleFactory factory;
  private int numUsers;

  private Workers(String jobId, JobInfo jobInfo) {
    this.jobId = jobId;
    factory = DefaultJobBundleFactory.create(jobInfo);
  }

  static Workers acquire(String jobId, JobInfo jobInfo) {
    synchronized (RUNNING) {
      Workers workers = RUNNING.computeIfAbsent(jobId, id -> new Workers(id, jobInfo));
      workers.numUsers++;
      return workers;
    }
  }

  StageBundleFactory forStage(ExecutableStage stage) {
    return factory.forStage(stage);
  }

  void release() throws Exception {
    synchronized (RUNNING) {
      if (--numUsers == 0) {
        RUNNING.remove(jobId);
        factory.close();
      }
    }
  }
}
