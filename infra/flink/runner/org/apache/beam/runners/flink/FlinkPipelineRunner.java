package org.apache.beam.runners.flink;

import clipmill.flink.BatchJob;

/** The entry that Beam's Python SDK asks a Flink cluster for; the name is Beam's. */
public final class FlinkPipelineRunner {
  private FlinkPipelineRunner() {}

  /** Runs the pipeline that lies in the jar beside this class. */
  public static void main(String[] args) throws Exception {
    BatchJob.fromJar(FlinkPipelineRunner.class.getClassLoader()).execute();
  }
}
