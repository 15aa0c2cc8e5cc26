import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.zip.CRC32;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The fold of benchmarks/peers/fold.py on Kafka Streams, exactly_once_v2: state in memory with its changelog, written once a
 * commit for each changed consignment (caching on), one output an event.
 *
 * Arguments: bootstrap, topic, out, application id, state folder, threads.
 */
public final class FoldPeer {
  /** Event id -> revision (high half) and milestone (low half). */
  static final class State extends HashMap<String, Long> {}

  static final class Fold implements Processor<String, byte[], String, byte[]> {
    private static final JsonFactory JSON = new JsonFactory();
    private final CRC32 crc = new CRC32();
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, State> store;

    @Override
    public void init(ProcessorContext<String, byte[]> given) {
      context = given;
      store = given.getStateStore("states");
    }

    @Override
    public void process(Record<String, byte[]> record) {
      String id = null;
      int revision = 0;
      int milestone = 0;
      try (JsonParser parser = JSON.createParser(record.value())) {
        parser.nextToken();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          parser.nextToken();
          switch (name) {
            case "id" -> id = parser.getText();
            case "revision" -> revision = parser.getIntValue();
            case "milestone" -> milestone = parser.getIntValue();
            default -> parser.skipChildren();
          }
        }
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
      State state = store.get(record.key());
      if (state == null) {
        state = new State();
      }
      Long known = state.get(id);
      if (known != null && (known >>> 32) >= revision) {
        return;
      }
      state.put(id, ((long) revision << 32) | milestone);
      store.put(record.key(), state);
      context.forward(record.withValue(say(record.key(), state)));
    }

    private byte[] say(String consignment, State state) {
      long total = 0;
      long most = 0;
      for (Map.Entry<String, Long> entry : state.entrySet()) {
        crc.reset();
        crc.update(entry.getKey().getBytes(StandardCharsets.UTF_8));
        total += crc.getValue() * ((entry.getValue() >>> 32) + 1);
        most = Math.max(most, entry.getValue() & 0xffffffffL);
      }
      String text =
          "{\"c\":\"" + consignment + "\",\"n\":" + state.size() + ",\"m\":" + most + ",\"s\":" + total % (1L << 52) + "}";
      return text.getBytes(StandardCharsets.UTF_8);
    }
  }

  /** The state as bytes: for each event id its 32 characters and 8 bytes. */
  static Serde<State> states() {
    return Serdes.serdeFrom(
        (topic, state) -> {
          if (state == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.allocate(state.size() * 40);
          state.forEach((id, value) -> buffer.put(id.getBytes(StandardCharsets.ISO_8859_1)).putLong(value));
          return buffer.array();
        },
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          State state = new State();
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          byte[] id = new byte[32];
          while (buffer.hasRemaining()) {
            buffer.get(id);
            state.put(new String(id, StandardCharsets.ISO_8859_1), buffer.getLong());
          }
          return state;
        });
  }

  public static void main(String[] given) throws InterruptedException {
    Properties told = new Properties();
    told.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given[0]);
    told.put(StreamsConfig.APPLICATION_ID_CONFIG, given[3]);
    told.put(StreamsConfig.STATE_DIR_CONFIG, given[4]);
    told.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.parseInt(given[5]));
    told.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    told.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    told.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L * 1024 * 1024);
    told.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    told.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    told.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5000);
    told.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    told.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 512 * 1024);
    Topology topology = new Topology();
    topology.addSource("in", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), given[1]);
    topology.addProcessor("fold", Fold::new, "in");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("states"), Serdes.String(), states()).withCachingEnabled(),
        "fold");
    topology.addSink("out", given[2], Serdes.String().serializer(), Serdes.ByteArray().serializer(), "fold");
    KafkaStreams streams = new KafkaStreams(topology, told);
    CountDownLatch ended = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close();
                  ended.countDown();
                }));
    streams.start();
    ended.await();
  }
}
