package clipmill.flink;

import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.sdk.util.construction.NativeTransforms;
import org.apache.beam.sdk.util.construction.PTransformTranslation;

/** Tells Beam's graphs that a reshuffle is Flink's own affair; found as a service. */
public final class NativeReshuffle implements NativeTransforms.IsNativeTransform {
  @Override
  public boolean test(RunnerApi.PTransform transform) {
    return transform.getSpec().getUrn().equals(PTransformTranslation.RESHUFFLE_URN);
  }
}
