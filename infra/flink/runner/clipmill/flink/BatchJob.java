package clipmill.flink;

import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.runners.fnexecution.wire.WireCoders;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.coders.KvCoder;
import org.apache.beam.sdk.util.construction.PTransformTranslation;
import org.apache.beam.sdk.util.construction.graph.ExecutableStage;
import org.apache.beam.sdk.util.construction.graph.GreedyPipelineFuser;
import org.apache.beam.sdk.util.construction.graph.PipelineNode;
import org.apache.beam.sdk.util.construction.graph.QueryablePipeline;
import org.apache.beam.sdk.util.construction.graph.TrivialNativeTransformExpander;
import org.apache.beam.sdk.values.KV;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Message;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Struct;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Value;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.util.JsonFormat;
import org.apache.flink.api.common.ExecutionMode;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.java.DataSet;
import org.apache.flink.api.java.ExecutionEnvironment;
import org.apache.flink.api.java.io.DiscardingOutputFormat;
import org.apache.flink.api.java.tuple.Tuple2;

/**
 * A portable batch pipeline as a Flink job: what clipmill's pipelines consist of, no more.
 *
 * <p>This is a translation for places where Beam's own job server, the artifact
 * beam-runners-flink-1.19-job-server, cannot be had; where it can, use that. All that talks
 * to Beam's workers is Beam's Fn API library; only the translation of the graph is here.
 *
 * <p>Known are impulse, flatten, group by key, reshuffle and stages of ParDos, all in the
 * global window, without side inputs, state or timers. Anything else is refused by name
 * before the job starts. Elements are, for Flink, the bytes of Beam's wire format.
 */
public final class BatchJob {
  private static final String FOLDER = "BEAM-PIPELINE/pipeline/";
  private static final String NAME = "beam:option:job_name:v1";
  private static final Value DEFAULT_NAME = Value.newBuilder().setStringValue("clipmill").build();
  private static final String PARALLELISM = "beam:option:parallelism:v1";
  private static final Value UNSET = Value.newBuilder().setStringValue("-1").build();
  private static final String GLOBAL_WINDOWS = "beam:window_fn:global_windows:v1";
  private static final Set<String> KNOWN =
      Set.of(
          PTransformTranslation.IMPULSE_TRANSFORM_URN,
          PTransformTranslation.FLATTEN_TRANSFORM_URN,
          PTransformTranslation.GROUP_BY_KEY_TRANSFORM_URN,
          PTransformTranslation.RESHUFFLE_URN,
          ExecutableStage.URN);

  private final RunnerApi.Pipeline pipeline;
  private final int parallelism;
  private final ExecutionEnvironment flink;
  private final JobInfo jobInfo;
  private final Map<String, DataSet<byte[]>> collections = new HashMap<>();

  private BatchJob(RunnerApi.Pipeline pipeline, Struct options, ExecutionEnvironment flink) {
    this.pipeline = pipeline;
    this.flink = flink;
    String name = options.getFieldsOrDefault(NAME, DEFAULT_NAME).getStringValue();
    this.jobInfo = JobInfo.create(name, name, "", options);
    // The Python SDK sends numbers as text.
    this.parallelism =
        Integer.parseInt(options.getFieldsOrDefault(PARALLELISM, UNSET).getStringValue());
  }

  /** Reads the pipeline and its options, as Beam's Python SDK puts them into the jar. */
  public static BatchJob fromJar(ClassLoader jar) throws IOException {
    RunnerApi.Pipeline.Builder pipeline = RunnerApi.Pipeline.newBuilder();
    Struct.Builder options = Struct.newBuilder();
    read(jar, "pipeline.json", pipeline);
    read(jar, "pipeline-options.json", options);
    return new BatchJob(
        pipeline.build(), options.build(), ExecutionEnvironment.getExecutionEnvironment());
  }

  /** Submits the job. */
  public void execute() throws Exception {
    // In the other mode everything from one rebalance to the next restarts together: all
    // tasks of a job, each time that one of them loses its worker.
    flink.getConfig().setExecutionMode(ExecutionMode.BATCH_FORCED);
    if (parallelism >= 1) {
      flink.setParallelism(parallelism);
    }
    RunnerApi.Pipeline fused =
        GreedyPipelineFuser.fuse(TrivialNativeTransformExpander.forKnownUrns(pipeline, KNOWN))
            .toPipeline();
    QueryablePipeline graph =
        QueryablePipeline.forTransforms(fused.getRootTransformIdsList(), fused.getComponents());
    for (PipelineNode.PTransformNode node : graph.getTopologicallyOrderedTransforms()) {
      add(node.getTransform(), fused.getComponents());
    }
    flink.execute(jobInfo.jobName());
  }

  private void add(RunnerApi.PTransform transform, RunnerApi.Components components)
      throws IOException {
    for (String id : transform.getOutputsMap().values()) {
      requireGlobalWindow(transform, id, components);
    }
    switch (transform.getSpec().getUrn()) {
      case PTransformTranslation.IMPULSE_TRANSFORM_URN -> addImpulse(transform, components);
      case PTransformTranslation.FLATTEN_TRANSFORM_URN -> addFlatten(transform, components);
      case PTransformTranslation.GROUP_BY_KEY_TRANSFORM_URN -> addGroupByKey(transform, components);
      case PTransformTranslation.RESHUFFLE_URN ->
          collections.put(onlyOutput(transform), input(transform).rebalance());
      case ExecutableStage.URN -> addStage(transform);
      default ->
          throw new UnsupportedOperationException(
              transform.getUniqueName()
                  + " is "
                  + transform.getSpec().getUrn()
                  + "; this runner knows "
                  + KNOWN);
    }
  }

  private void addImpulse(RunnerApi.PTransform transform, RunnerApi.Components components)
      throws IOException {
    Coder<WindowedValue<byte[]>> coder = wireCoder(onlyOutput(transform), components);
    byte[] element = Wire.encode(coder, WindowedValues.valueInGlobalWindow(new byte[0]));
    collections.put(
        onlyOutput(transform),
        flink
            .fromCollection(
                List.of(element), PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
            .name(transform.getUniqueName()));
  }

  private void addFlatten(RunnerApi.PTransform transform, RunnerApi.Components components)
      throws IOException {
    String output = onlyOutput(transform);
    DataSet<byte[]> all = null;
    for (String input : transform.getInputsMap().values()) {
      DataSet<byte[]> one = collections.get(input);
      if (!coderOf(input, components).equals(coderOf(output, components))) {
        one = one.map(new Wire.Recode(wireCoder(input, components), wireCoder(output, components)));
      }
      all = all == null ? one : all.union(one);
    }
    if (all == null) {
      throw new UnsupportedOperationException(transform.getUniqueName() + " flattens nothing");
    }
    collections.put(output, all);
  }

  private static String coderOf(String collection, RunnerApi.Components components) {
    return components.getPcollectionsOrThrow(collection).getCoderId();
  }

  private void addGroupByKey(RunnerApi.PTransform transform, RunnerApi.Components components)
      throws IOException {
    Coder<WindowedValue<KV<Object, Object>>> coder = wireCoder(onlyInput(transform), components);
    KvCoder<Object, Object> pairs =
        (KvCoder<Object, Object>)
            ((WindowedValues.WindowedValueCoder<KV<Object, Object>>) coder).getValueCoder();
    collections.put(
        onlyOutput(transform),
        input(transform)
            .map(new Groups.Pairs(coder, pairs))
            .groupBy(0)
            .reduceGroup(
                new Groups.Join(pairs, wireCoder(onlyOutput(transform), components)))
            .name(transform.getUniqueName()));
  }

  private void addStage(RunnerApi.PTransform transform) throws IOException {
    RunnerApi.ExecutableStagePayload payload =
        RunnerApi.ExecutableStagePayload.parseFrom(transform.getSpec().getPayload());
    if (payload.getSideInputsCount() + payload.getUserStatesCount() + payload.getTimersCount()
        > 0) {
      throw new UnsupportedOperationException(
          transform.getUniqueName() + " has side inputs, state or timers");
    }
    List<String> outputs = List.copyOf(transform.getOutputsMap().values());
    DataSet<Tuple2<Integer, byte[]>> tagged =
        collections
            .get(payload.getInput())
            .mapPartition(new Stage(payload.toByteArray(), jobInfo, outputs))
            .name(transform.getUniqueName());
    for (int tag = 0; tag < outputs.size(); tag++) {
      collections.put(outputs.get(tag), tagged.flatMap(new Stage.Output(tag)));
    }
    if (outputs.isEmpty()) {
      tagged.output(new DiscardingOutputFormat<>());
    }
  }

  private void requireGlobalWindow(
      RunnerApi.PTransform transform, String collection, RunnerApi.Components components) {
    String strategy = components.getPcollectionsOrThrow(collection).getWindowingStrategyId();
    String windows =
        components.getWindowingStrategiesOrThrow(strategy).getWindowFn().getUrn();
    if (!windows.equals(GLOBAL_WINDOWS)) {
      throw new UnsupportedOperationException(
          transform.getUniqueName() + " has windows: " + windows);
    }
  }

  private DataSet<byte[]> input(RunnerApi.PTransform transform) {
    return collections.get(onlyInput(transform));
  }

  private static String onlyInput(RunnerApi.PTransform transform) {
    return transform.getInputsMap().values().iterator().next();
  }

  private static String onlyOutput(RunnerApi.PTransform transform) {
    return transform.getOutputsMap().values().iterator().next();
  }

  private static <T> Coder<WindowedValue<T>> wireCoder(
      String collection, RunnerApi.Components components) throws IOException {
    return WireCoders.instantiateRunnerWireCoder(
        PipelineNode.pCollection(collection, components.getPcollectionsOrThrow(collection)),
        components);
  }

  private static void read(ClassLoader jar, String name, Message.Builder builder)
      throws IOException {
    try (InputStream stream = jar.getResourceAsStream(FOLDER + name)) {
      if (stream == null) {
        throw new IOException("the jar has no " + FOLDER + name);
      }
      JsonFormat.parser()
          .ignoringUnknownFields()
          .merge(new InputStreamReader(stream, StandardCharsets.UTF_8), builder);
    }
  }
}
