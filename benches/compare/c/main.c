/* The workloads of compare, done by nats.c. compare starts this program for each measurement:

       compare-c --child nats.c work=publish payload=16 messages=1000 servers=127.0.0.1:4222 …

   The words are those of src/job.rs, and the dialogue is that of compare's own children (src/child.rs): print `ready`, read
   `go`, work, read `seen` if only the far end sees the end of the work, and print the results. */
#define _GNU_SOURCE
#include <nats/nats.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SUBJECT "bench.subject"
#define SERVICE "bench.service"
#define LAST "bench.last"
#define IDLE "bench.idle."

/* Messages in flight in the loop through a server, and the steps in which this window moves. */
enum { WINDOW = 32768, STEP = 1024 };

/* In milliseconds. After the first one without a message, nothing more comes: the source sends without pauses. */
enum { STALLED = 500, PATIENCE = 60000 };

enum { MOST_SERVERS = 4, MOST_TASKS = 4096, REST_IN_SECONDS = 2, TRICKLE_IN_US = 50 };

static struct {
    const char *work, *ca;
    const char *servers[MOST_SERVERS];
    int server_count;
    long tasks, payload, messages, subscriptions;
    bool last;
} job = { .work = "", .tasks = 1 };

static natsConnection *nc;
static char *payload;
/* Each round trip, in nanoseconds. */
static int64_t *times;
static long timed, dropped;
/* Memory for each, if that was measured. */
static double bytes = -1;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "compare-c: %s: %s\n", what, why);
    exit(1);
}

static void check(natsStatus status) {
    if (status != NATS_OK) fail(job.work, nats_GetLastError(NULL) ? nats_GetLastError(NULL) : natsStatus_GetText(status));
}

static bool is(const char *work) { return strcmp(job.work, work) == 0; }

static bool begins(const char *work) { return strncmp(job.work, work, strlen(work)) == 0; }

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int64_t now(void) { return clock_ns(CLOCK_MONOTONIC); }

static natsConnection *open_client(void) {
    natsOptions *options = NULL;
    natsConnection *connection = NULL;
    check(natsOptions_Create(&options));
    check(natsOptions_SetServers(options, job.servers, job.server_count));
    if (job.ca) {
        check(natsOptions_SetSecure(options, true));
        check(natsOptions_LoadCATrustedCertificates(options, job.ca));
    }
    if (is("replay")) {
        /* By default it waits for two seconds before it dials the same server again; only what follows is timed. */
        check(natsOptions_SetReconnectWait(options, 10));
        check(natsOptions_SetReconnectJitter(options, 0, 0));
    }
    check(natsConnection_Connect(&connection, options));
    natsOptions_Destroy(options);
    return connection;
}

static natsMsg *message_with_headers(void) {
    natsMsg *message = NULL;
    check(natsMsg_Create(&message, SUBJECT, NULL, payload, (int)job.payload));
    check(natsMsgHeader_Set(message, "Trace-Id", "4bf92f3577b34da6"));
    check(natsMsgHeader_Set(message, "Content-Type", "text/plain"));
    return message;
}

static void *publish(void *unused) {
    long share = job.messages / job.tasks;
    if (is("publish-headers")) {
        for (long i = 0; i < share; i++) {
            natsMsg *message = message_with_headers();
            check(natsConnection_PublishMsg(nc, message));
            natsMsg_Destroy(message);
        }
    } else if (is("publish-cloned")) {
        /* nats.c encodes the headers of a message each time and does not change them, so one message serves. */
        natsMsg *message = message_with_headers();
        for (long i = 0; i < share; i++) check(natsConnection_PublishMsg(nc, message));
        natsMsg_Destroy(message);
    } else {
        for (long i = 0; i < share; i++) check(natsConnection_Publish(nc, SUBJECT, payload, (int)job.payload));
    }
    return unused;
}

static void *request(void *from) {
    long share = job.messages / job.tasks;
    int64_t *mine = from;
    for (long i = 0; i < share; i++) {
        natsMsg *reply = NULL;
        int64_t began = now();
        check(natsConnection_Request(&reply, nc, SERVICE, payload, (int)job.payload, PATIENCE));
        mine[i] = now() - began;
        natsMsg_Destroy(reply);
    }
    return NULL;
}

static void spread(void *(*work)(void *)) {
    static pthread_t threads[MOST_TASKS];
    if (job.tasks > MOST_TASKS) fail("tasks", "too many");
    for (long i = 0; i < job.tasks; i++) {
        if (pthread_create(&threads[i], NULL, work, times + i * (job.messages / job.tasks))) fail("thread", "none");
    }
    for (long i = 0; i < job.tasks; i++) pthread_join(threads[i], NULL);
}

static natsSubscription *subscribe(natsConnection *connection) {
    natsSubscription *subscription = NULL;
    check(natsConnection_SubscribeSync(&subscription, connection, SUBJECT));
    /* With the default limits it could drop messages, and then its figures would not count. */
    check(natsSubscription_SetPendingLimits(subscription, -1, -1));
    return subscription;
}

static void receive(void) {
    natsSubscription *subscription = subscribe(nc);
    long received = 0;
    natsMsg *message = NULL;
    for (; received < job.messages && natsSubscription_NextMsg(&message, subscription, STALLED) == NATS_OK; received++) {
        natsMsg_Destroy(message);
    }
    dropped = job.messages - received;
}

/* Messages that may be published. */
static long room = WINDOW;
static pthread_mutex_t room_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t room_made = PTHREAD_COND_INITIALIZER;

static void move_window(long by) {
    pthread_mutex_lock(&room_lock);
    while (room + by < 0) pthread_cond_wait(&room_made, &room_lock);
    room += by;
    pthread_cond_signal(&room_made);
    pthread_mutex_unlock(&room_lock);
}

static void *publish_in_window(void *unused) {
    for (long sent = 0; sent < job.messages; sent++) {
        if (sent % STEP == 0) move_window(-STEP);
        check(natsConnection_Publish(nc, SUBJECT, payload, (int)job.payload));
    }
    check(natsConnection_FlushTimeout(nc, PATIENCE));
    return unused;
}

static void loop(void) {
    pthread_t publisher;
    natsMsg *message = NULL;
    natsSubscription *subscription = subscribe(nc);
    check(natsConnection_FlushTimeout(nc, PATIENCE));
    pthread_create(&publisher, NULL, publish_in_window, NULL);
    long received = 0;
    while (received < job.messages && natsSubscription_NextMsg(&message, subscription, PATIENCE) == NATS_OK) {
        natsMsg_Destroy(message);
        if (++received % STEP == 0) move_window(STEP);
    }
    pthread_join(publisher, NULL);
    dropped = job.messages - received;
}

/* Resident memory of this process, in bytes. */
static double resident(void) {
    char line[256];
    double kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (!status) fail("memory", "no /proc/self/status");
    while (fgets(line, sizeof line, status)) {
        if (sscanf(line, "VmRSS: %lf", &kilobytes) == 1) break;
    }
    fclose(status);
    return kilobytes * 1024;
}

/* Synchronous ones: each of the others would have a thread. */
static void subscribe_idly(long number) {
    for (long i = 0; i < number; i++) {
        char subject[64];
        natsSubscription *subscription = NULL;
        snprintf(subject, sizeof subject, IDLE "%ld", i);
        check(natsConnection_SubscribeSync(&subscription, nc, subject));
    }
    check(natsConnection_FlushTimeout(nc, PATIENCE));
}

static void grow(bool clients) {
    double before = resident();
    if (clients) {
        for (long i = 0; i < job.messages; i++) open_client();
    } else {
        subscribe_idly(job.messages);
    }
    sleep(REST_IN_SECONDS);
    bytes = (resident() - before) / (double)job.messages;
}

static void connects(void) {
    for (timed = 0; timed < job.messages; timed++) {
        natsMsg *message = NULL;
        int64_t began = now();
        natsConnection *connection = open_client();
        natsSubscription *subscription = subscribe(connection);
        check(natsSubscription_NextMsg(&message, subscription, PATIENCE));
        times[timed] = now() - began;
        natsMsg_Destroy(message);
        natsSubscription_Destroy(subscription);
        natsConnection_Destroy(connection);
    }
}

static void *trickle(void *unused) {
    while (natsConnection_Publish(nc, SUBJECT, payload, (int)job.payload) == NATS_OK) usleep(TRICKLE_IN_US);
    return unused;
}

static void work(void) {
    if (begins("publish")) {
        spread(publish);
        if (job.last) check(natsConnection_Publish(nc, LAST, NULL, 0));
        check(natsConnection_FlushTimeout(nc, PATIENCE));
    } else if (begins("subscribe")) {
        receive();
    } else if (is("loop")) {
        loop();
    } else if (is("request")) {
        spread(request);
        timed = job.messages;
    } else if (is("subscriptions") || is("clients")) {
        grow(is("clients"));
    } else if (is("connect")) {
        connects();
    } else if (is("failover")) {
        pthread_t thread;
        pthread_create(&thread, NULL, trickle, NULL);
    } else if (!is("replay")) {
        fail("no such work", job.work);
    }
}

static int by_size(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static void report(int64_t wall, int64_t cpu) {
    static const double percentiles[] = { 50, 90, 99, 99.9 };
    printf("wall=%lld cpu=%lld dropped=%ld", (long long)wall, (long long)cpu, dropped);
    if (bytes >= 0) printf(" bytes=%f", bytes);
    if (timed) {
        qsort(times, (size_t)timed, sizeof *times, by_size);
        for (int i = 0; i < 4; i++) {
            double exact = (double)timed * percentiles[i] / 100;
            long rank = (long)exact + ((double)(long)exact < exact);
            printf(" p%g=%lld", percentiles[i], (long long)times[rank > 0 ? rank - 1 : 0]);
        }
        printf(" max=%lld", (long long)times[timed - 1]);
    }
    printf("\n");
    fflush(stdout);
}

static void wait_for(const char *word) {
    char line[64];
    if (!fgets(line, sizeof line, stdin) || strncmp(line, word, strlen(word))) fail("wanted", word);
}

static void read_servers(char *list) {
    for (char *server = strtok(list, ","); server; server = strtok(NULL, ",")) {
        char *url = NULL;
        if (job.server_count == MOST_SERVERS || asprintf(&url, "nats://%s", server) < 0) fail("servers", "too many");
        job.servers[job.server_count++] = url;
    }
}

static void read_word(char *word) {
    char *value = strchr(word, '=');
    if (!value) fail("no such part of a job", word);
    *value++ = 0;
    if (!strcmp(word, "work")) job.work = value;
    else if (!strcmp(word, "tasks")) job.tasks = atol(value);
    else if (!strcmp(word, "payload")) job.payload = atol(value);
    else if (!strcmp(word, "messages")) job.messages = atol(value);
    else if (!strcmp(word, "subscriptions")) job.subscriptions = atol(value);
    else if (!strcmp(word, "last")) job.last = !strcmp(value, "1");
    else if (!strcmp(word, "servers")) read_servers(value);
    else if (!strcmp(word, "ca")) job.ca = value;
    else if (strcmp(word, "rate")) fail("no such part of a job", word);
}

int main(int count, char **words) {
    if (count == 2 && !strcmp(words[1], "--version")) {
        printf("nats.c %s\n", nats_GetVersion());
        return 0;
    }
    if (count < 4 || strcmp(words[1], "--child")) fail("started by compare itself", "with --peers");
    for (int i = 3; i < count; i++) read_word(words[i]);
    payload = malloc((size_t)job.payload + 1);
    times = calloc((size_t)job.messages + 1, sizeof *times);
    if (!payload || !times) fail("memory", "none");
    memset(payload, 'x', (size_t)job.payload);
    nc = open_client();
    subscribe_idly(job.subscriptions);
    puts("ready");
    fflush(stdout);
    wait_for("go");
    int64_t began = now(), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    work();
    if (begins("publish") || is("failover") || is("replay")) wait_for("seen");
    report(now() - began, clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
