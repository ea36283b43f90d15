// Walks through the services with AWS's SDK for JavaScript and prints what came of it as JSON.
import { MarketplaceEntitlementServiceClient, GetEntitlementsCommand } from "@aws-sdk/client-marketplace-entitlement-service";
import { MarketplaceMeteringClient, ResolveCustomerCommand, BatchMeterUsageCommand } from "@aws-sdk/client-marketplace-metering";
import { SESv2Client, SendEmailCommand } from "@aws-sdk/client-sesv2";
import { SQSClient, GetQueueUrlCommand, ReceiveMessageCommand, SendMessageCommand, DeleteMessageCommand } from "@aws-sdk/client-sqs";

const { ENDPOINT: endpoint, TOKEN, PRODUCT, NOW } = process.env;
const config = { endpoint, region: "us-east-1", maxAttempts: 1, credentials: { accessKeyId: "AKID", secretAccessKey: "secret" } };
const metering = new MarketplaceMeteringClient(config);
const entitlement = new MarketplaceEntitlementServiceClient(config);
const ses = new SESv2Client(config);
const sqs = new SQSClient(config);
const refused = (promise) => promise.then(() => "accepted", (e) => e.name);

const buyer = await metering.send(new ResolveCustomerCommand({ RegistrationToken: TOKEN }));
const granted = await entitlement.send(new GetEntitlementsCommand({ ProductCode: PRODUCT, Filter: { LICENSE_ARN: [buyer.LicenseArn] } }));
const record = { Timestamp: new Date(NOW), CustomerAWSAccountId: buyer.CustomerAWSAccountId, LicenseArn: buyer.LicenseArn, Dimension: "starter_over", Quantity: 12 };
const usage = await metering.send(new BatchMeterUsageCommand({ UsageRecords: [record] }));
const text = { Data: "Grüße", Charset: "UTF-8" };
const mail = await ses.send(new SendEmailCommand({ FromEmailAddress: "a@example.com", Destination: { ToAddresses: ["b@example.com"] }, Content: { Simple: { Subject: text, Body: { Text: text } } } }));
const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: "marketplace-events" }));
await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "grüße", MessageAttributes: { kind: { DataType: "String", StringValue: "ü" } } }));
const received = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 5, MessageAttributeNames: ["All"] }));
for (const { ReceiptHandle } of received.Messages) await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));

console.log(JSON.stringify({
  account: buyer.CustomerAWSAccountId,
  plan: granted.Entitlements[0].Dimension,
  expires: granted.Entitlements[0].ExpirationDate.toISOString(),
  status: usage.Results[0].Status,
  echoed: usage.Results[0].UsageRecord.Timestamp.toISOString(),
  mail: mail.MessageId,
  messages: received.Messages.length,
  badToken: await refused(metering.send(new ResolveCustomerCommand({ RegistrationToken: "forged" }))),
  badProduct: await refused(entitlement.send(new GetEntitlementsCommand({ ProductCode: "other" }))),
  badDimension: await refused(metering.send(new BatchMeterUsageCommand({ UsageRecords: [{ ...record, Dimension: "other" }] }))),
  badAddress: await refused(ses.send(new SendEmailCommand({ FromEmailAddress: "nobody", Destination: { ToAddresses: ["b@example.com"] }, Content: { Simple: { Subject: text, Body: { Text: text } } } }))),
  badQueue: await refused(sqs.send(new GetQueueUrlCommand({ QueueName: "none" }))),
}));
