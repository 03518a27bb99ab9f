package clipmill.flink;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.beam.model.pipeline.v1.Endpoints;
import org.apache.beam.runners.fnexecution.environment.ExternalEnvironmentFactory;
import org.apache.beam.sdk.fn.channel.SocketAddressFactory;
import org.apache.beam.sdk.fn.server.GrpcContextHeaderAccessorProvider;
import org.apache.beam.sdk.fn.server.ServerFactory;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.BindableService;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.Server;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.ServerInterceptors;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.netty.NettyServerBuilder;

/**
 * Servers for Beam's workers, which are on the same machine or in the same pod.
 *
 * <p>Beam's own take the port of the loopback address that they are asked for and listen to
 * it on every network; one of them hands out any file that its process can read.
 */
final class LoopbackServers extends ServerFactory {
  private static final long KEEP_ALIVE_SECONDS = 20; // the workers' pings are not below it

  @Override
  public Server allocateAddressAndCreate(
      List<BindableService> services, Endpoints.ApiServiceDescriptor.Builder description)
      throws IOException {
    InetAddress loopback = InetAddress.getLoopbackAddress();
    Server server = started(services, new InetSocketAddress(loopback, 0));
    description.setUrl(loopback.getHostAddress() + ":" + server.getPort());
    return server;
  }

  @Override
  public Server create(List<BindableService> services, Endpoints.ApiServiceDescriptor description)
      throws IOException {
    return started(services, SocketAddressFactory.createFrom(description.getUrl()));
  }

  private static Server started(List<BindableService> services, SocketAddress address)
      throws IOException {
    NettyServerBuilder builder =
        NettyServerBuilder.forAddress(address)
            .maxInboundMessageSize(Integer.MAX_VALUE)
            .permitKeepAliveTime(KEEP_ALIVE_SECONDS, TimeUnit.SECONDS);
    for (BindableService service : services) {
      builder.addService(
          ServerInterceptors.intercept(service, GrpcContextHeaderAccessorProvider.interceptor()));
    }
    return builder.build().start();
  }

  /** Has a pool of workers asked for workers, as Beam does, to be served from here. */
  static final class Environments extends ExternalEnvironmentFactory.Provider {
    @Override
    public ServerFactory getServerFactory() {
      return new LoopbackServers();
    }
  }
}
