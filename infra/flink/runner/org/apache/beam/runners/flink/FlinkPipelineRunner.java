package org.apache.beam.runners.flink;

import clipmill.flink.BatchJob;

/**
 * The entry that Beam's Python SDK asks a Flink cluster for. Only the name is Beam's: see
 * BatchJob for what this is, and when to use Beam's own job server instead.
 */
public final class FlinkPipelineRunner {
  private FlinkPipelineRunner() {}

  /** Runs the pipeline that lies in the jar beside this class. */
  public static void main(String[] args) throws Exception {
    BatchJob.fromJar(FlinkPipelineRunner.class.getClassLoader()).execute();
  }
}
