package clipmill.flink;

import java.io.IOException;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.fnexecution.control.OutputReceiverFactory;
import org.apache.beam.runners.fnexecution.control.RemoteBundle;
import org.apache.beam.runners.fnexecution.control.StageBundleFactory;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.runners.fnexecution.state.StateRequestHandler;
import org.apache.beam.runners.fnexecution.wire.WireCoders;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.fn.data.FnDataReceiver;
import org.apache.beam.sdk.util.construction.graph.ExecutableStage;
import org.apache.beam.sdk.util.construction.graph.PipelineNode;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.RichMapPartitionFunction;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.util.Collector;

/** A stage of ParDos, run by a Beam worker: all elements of a subtask are one bundle. */
final class Stage extends RichMapPartitionFunction<byte[], Tuple2<Integer, byte[]>> {
  private final byte[] payload;
  private final JobInfo jobInfo;
  private final List<String> outputs;
  private transient Workers workers;
  private transient StageBundleFactory bundles;
  private transient Counters counters;
  private transient boolean isDone;
  private transient Coder<WindowedValue<Object>> inputCoder;
  private transient Map<String, Coder<WindowedValue<Object>>> outputCoders;

  Stage(byte[] payload, JobInfo jobInfo, List<String> outputs) {
    this.payload = payload;
    this.jobInfo = jobInfo;
    this.outputs = outputs;
  }

  @Override
  public void open(Configuration parameters) throws Exception {
    ExecutableStage stage =
        ExecutableStage.fromPayload(RunnerApi.ExecutableStagePayload.parseFrom(payload));
    inputCoder = wireCoder(stage.getInputPCollection(), stage);
    outputCoders = new HashMap<>();
    for (PipelineNode.PCollectionNode output : stage.getOutputPCollections()) {
      outputCoders.put(output.getId(), wireCoder(output, stage));
    }
    counters = Counters.of(getRuntimeContext());
    workers = Workers.acquire(getRuntimeContext().getJobInfo().getJobId().toString(), jobInfo);
    bundles = workers.forStage(stage);
  }

  @Override
  public void mapPartition(Iterable<byte[]> elements, Collector<Tuple2<Integer, byte[]>> out)
      throws Exception {
    Iterator<byte[]> waiting = elements.iterator();
    if (!waiting.hasNext()) {
      isDone = true;
      return;
    }
    try (RemoteBundle bundle =
        bundles.getBundle(
            receivers(out), StateRequestHandler.unsupported(), counters.handler())) {
      @SuppressWarnings("unchecked")
      FnDataReceiver<WindowedValue<Object>> receiver =
          bundle.getInputReceivers().values().iterator().next();
      while (waiting.hasNext()) {
        receiver.accept(Wire.decode(inputCoder, waiting.next()));
      }
    }
    isDone = true;
  }

  @Override
  public void close() throws Exception {
    if (bundles != null) {
      bundles.close();
    }
    if (workers != null) {
      workers.release(!isDone);
    }
  }

  private OutputReceiverFactory receivers(Collector<Tuple2<Integer, byte[]>> out) {
    return new OutputReceiverFactory() {
      @Override
      @SuppressWarnings("unchecked")
      public <T> FnDataReceiver<T> create(String collection) {
        int tag = outputs.indexOf(collection);
        Coder<WindowedValue<Object>> coder = outputCoders.get(collection);
        return value -> {
          byte[] element = Wire.encode(coder, (WindowedValue<Object>) value);
          synchronized (out) { // several threads of the worker's connection come here
            out.collect(Tuple2.of(tag, element));
          }
        };
      }
    };
  }

  private static Coder<WindowedValue<Object>> wireCoder(
      PipelineNode.PCollectionNode collection, ExecutableStage stage) throws IOException {
    return WireCoders.instantiateRunnerWireCoder(collection, stage.getComponents());
  }

  /** The elements of one of a stage's outputs. */
  static final class Output implements FlatMapFunction<Tuple2<Integer, byte[]>, byte[]> {
    private final int tag;

    Output(int tag) {
      this.tag = tag;
    }

    @Override
    public void flatMap(Tuple2<Integer, byte[]> element, Collector<byte[]> out) {
      if (element.f0 == tag) {
        out.collect(element.f1);
      }
    }
  }
}
