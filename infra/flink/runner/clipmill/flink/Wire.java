package clipmill.flink;

import java.io.IOException;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.flink.api.common.functions.MapFunction;

/** Elements as Beam's wire format has them. */
final class Wire {
  private Wire() {}

  static <T> byte[] encode(Coder<T> coder, T value) throws IOException {
    return CoderUtils.encodeToByteArray(coder, value);
  }

  static <T> T decode(Coder<T> coder, byte[] bytes) throws IOException {
    return CoderUtils.decodeFromByteArray(coder, bytes);
  }

  /** Writes elements with another coder than they were written with. */
  static final class Recode implements MapFunction<byte[], byte[]> {
    private final Coder<WindowedValue<Object>> from;
    private final Coder<WindowedValue<Object>> to;

    Recode(Coder<WindowedValue<Object>> from, Coder<WindowedValue<Object>> to) {
      this.from = from;
      this.to = to;
    }

    @Override
    public byte[] map(byte[] element) throws IOException {
      return encode(to, decode(from, element));
    }
  }
}
