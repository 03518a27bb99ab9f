package clipmill.flink;

import java.io.IOException;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.util.CoderUtils;

/** Elements as Beam's wire format has them. */
final class Wire {
  private Wire() {}

  static <T> byte[] encode(Coder<T> coder, T value) throws IOException {
    return CoderUtils.encodeToByteArray(coder, value);
  }

  static <T> T decode(Coder<T> coder, byte[] bytes) throws IOException {
    return CoderUtils.decodeFromByteArray(coder, bytes);
  }
}
