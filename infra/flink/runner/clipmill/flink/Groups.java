package clipmill.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.coders.KvCoder;
import org.apache.beam.sdk.values.KV;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.apache.flink.api.common.functions.RichGroupReduceFunction;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.util.Collector;

/** The two halves of grouping: pairs of bytes in, keys with all their values out. */
final class Groups {
  private Groups() {}

  /** Takes an element apart into the bytes of its key and those of its value. */
  static final class Pairs extends RichMapFunction<byte[], Tuple2<byte[], byte[]>> {
    private final Coder<WindowedValue<KV<Object, Object>>> elements;
    private final KvCoder<Object, Object> pairs;

    Pairs(Coder<WindowedValue<KV<Object, Object>>> elements, KvCoder<Object, Object> pairs) {
      this.elements = elements;
      this.pairs = pairs;
    }

    @Override
    public Tuple2<byte[], byte[]> map(byte[] element) throws IOException {
      KV<Object, Object> pair = Wire.decode(elements, element).getValue();
      return Tuple2.of(
          Wire.encode(pairs.getKeyCoder(), pair.getKey()),
          Wire.encode(pairs.getValueCoder(), pair.getValue()));
    }
  }

  /** Joins the values of one key; they are held in memory together. */
  static final class Join extends RichGroupReduceFunction<Tuple2<byte[], byte[]>, byte[]> {
    private final KvCoder<Object, Object> pairs;
    private final Coder<WindowedValue<KV<Object, Iterable<Object>>>> groups;

    Join(
        KvCoder<Object, Object> pairs,
        Coder<WindowedValue<KV<Object, Iterable<Object>>>> groups) {
      this.pairs = pairs;
      this.groups = groups;
    }

    @Override
    public void reduce(Iterable<Tuple2<byte[], byte[]>> group, Collector<byte[]> out)
        throws IOException {
      Object key = null;
      List<Object> values = new ArrayList<>();
      for (Tuple2<byte[], byte[]> pair : group) {
        key = key == null ? Wire.decode(pairs.getKeyCoder(), pair.f0) : key;
        values.add(Wire.decode(pairs.getValueCoder(), pair.f1));
      }
      out.collect(
          Wire.encode(groups, WindowedValues.valueInGlobalWindow(KV.of(key, values))));
    }
  }
}
